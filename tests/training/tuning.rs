//! Searches: what they try, that they find it again on any number of threads and after an interruption, what they refuse.

use std::sync::atomic::{AtomicUsize, Ordering};

use gradus::data::KFold;
use gradus::tuning::*;

use super::*;

fn space() -> Space {
    Space::new()
        .choice("word", ["a", "b"])
        .integer("units", 1..=9)
        .uniform("x", -1.0..=1.0)
        .log_uniform("rate", 1e-4..=1.0)
}

fn distance(trial: &Trial) -> gradus::Result<f64> {
    let word = if trial.text("word")? == "a" { 0.0 } else { 0.1 };
    Ok(word
        + (trial.number("units")? - 5.0).abs()
        + trial.number("x")?.abs()
        + (trial.number("rate")?.log10() + 2.0).abs())
}

#[track_caller]
fn refused<T>(result: gradus::Result<T>, parts: &[&str]) {
    let error = result.err().expect("an error").to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}: {parts:?}");
}

#[test]
fn a_grid_holds_every_combination_once() {
    let grid = Space::new().choice("c", [1.5, 2.5]).integer("i", 1..=2).log_uniform("l", 0.01..=1.0);
    let results = GridSearch::new(grid).points(3).run(|trial| trial.number("l")).unwrap();
    let tried: Vec<[f64; 3]> = results
        .trials()
        .iter()
        .map(|done| ["c", "i", "l"].map(|name| (done.trial.number(name).unwrap() * 1e9).round() / 1e9))
        .collect();
    let mut expected = Vec::new();
    for c in [1.5, 2.5] {
        for i in [1.0, 2.0] {
            expected.extend([0.01, 0.1, 1.0].map(|l| [c, i, l]));
        }
    }
    assert_eq!(tried, expected);
    assert_eq!(results.best_score(), results.trials()[0].score().unwrap());
}

#[test]
fn what_is_drawn_lies_in_its_range_and_is_the_same_on_any_number_of_threads() {
    let search = RandomSearch::new(space(), 200).seed(3);
    let results = search.clone().threads(1).run(distance).unwrap();
    assert_eq!(results, search.clone().threads(4).run(distance).unwrap());
    assert_ne!(results, search.seed(4).run(distance).unwrap());
    let of =
        |name: &str| -> Vec<f64> { results.trials().iter().map(|done| done.trial.number(name).unwrap()).collect() };
    assert!(of("x").iter().all(|x| (-1.0..=1.0).contains(x)));
    // Half of the rates lie below the geometric mean of the ends.
    assert!((70..130).contains(&of("rate").iter().filter(|rate| **rate < 1e-2).count()));
    assert!((1..=9).all(|units| of("units").contains(&f64::from(units))));
    let seeds: std::collections::BTreeSet<u64> = results.trials().iter().map(|done| done.trial.seed()).collect();
    assert_eq!(seeds.len(), 200);
    let ranked = results.ranked();
    assert!(ranked.windows(2).all(|pair| pair[0].score() <= pair[1].score()));
    assert_eq!(ranked[0], results.best());
    let highest = RandomSearch::new(space(), 200).seed(3).higher_is_better(true).run(distance).unwrap();
    assert_eq!(highest.best_score(), ranked[199].score().unwrap());
}

#[test]
fn models_train_side_by_side_as_they_train_alone() {
    let (x, y) = (rows(40, 3), targets(40));
    let search = |threads| {
        let space = Space::new().integer("units", 2..=8).log_uniform("rate", 1e-3..=1e-1);
        let trained = |trial: &Trial| {
            let mut model = Sequential::f64()
                .input([3])
                .add(Dense::new(trial.integer("units")?).activation(Tanh))
                .add(Dense::new(1))
                .compile(MeanSquaredError::new(), Adam::new().learning_rate(trial.number("rate")?))
                .seed(trial.seed())
                .build()?;
            let history = model.fit(&x, &y, quiet(8, 5))?;
            Ok((history.get("loss")[4], model.get_weights()))
        };
        RandomSearch::new(space, 6).threads(threads).run_keeping(trained).unwrap()
    };
    let (results, weights) = search(1);
    assert_eq!((results.clone(), weights), search(3));
    assert!(results.trials().iter().any(|done| done.score() != results.trials()[0].score()));
}

#[test]
fn the_better_part_goes_on_with_more() {
    let asked = Mutex::new(Vec::new());
    let results = SuccessiveHalving::new(space(), 10, 2..=12).seed(1).run(|trial| {
        asked.lock().unwrap().push((trial.budget(), trial.index()));
        distance(trial)
    });
    let results = results.unwrap();
    let of =
        |budget| -> Vec<&Finished> { results.trials().iter().filter(|done| done.trial.budget() == budget).collect() };
    assert_eq!([2, 6, 12].map(|budget| of(budget).len()), [10, 4, 2]);
    assert_eq!(asked.lock().unwrap().len(), 16);
    let mut scores: Vec<f64> = of(2).iter().map(|done| done.score().unwrap()).collect();
    scores.sort_by(f64::total_cmp);
    assert!(of(6).iter().all(|done| done.score().unwrap() <= scores[3]));
    assert_eq!(results.best_score(), scores[0]);
    assert_eq!(results.best().trial.budget(), 12);
}

#[test]
fn an_interrupted_search_goes_on_where_it_ended() {
    let path = std::env::temp_dir().join(format!("gradus-tuning-{}.json", std::process::id()));
    let whole_path = path.with_extension("whole.json");
    let whole = RandomSearch::new(space(), 12).results(&whole_path).run(distance).unwrap();
    let run = AtomicUsize::new(0);
    let counted = |trial: &Trial| {
        run.fetch_add(1, Ordering::SeqCst);
        Ok((distance(trial)?, trial.index()))
    };
    let search = |trials| RandomSearch::new(space(), trials).threads(2).results(&path);
    let broken = |trial: &Trial| {
        if trial.index() == 5 { Err(Error::undefined("it", "the power failed")) } else { distance(trial) }
    };
    refused(search(12).run(broken), &["trial 5", "the power failed"]);
    let (resumed, kept) = search(12).run_keeping(counted).unwrap();
    assert_eq!(resumed, whole);
    assert_eq!(kept, whole.best().trial.index());
    assert!(run.load(Ordering::SeqCst) <= 8, "{} were run again", run.load(Ordering::SeqCst));
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&whole_path).unwrap());
    // All is known: only the best is made again, to be kept. A longer search runs what is new.
    run.store(0, Ordering::SeqCst);
    assert_eq!(search(12).run_keeping(counted).unwrap(), (whole.clone(), kept));
    assert_eq!(run.swap(0, Ordering::SeqCst), 1);
    let longer = search(15).run(|trial| counted(trial).map(|(score, _)| score)).unwrap();
    assert_eq!((longer.trials().len(), run.load(Ordering::SeqCst)), (15, 3));
    assert_eq!(longer.trials()[..12], whole.trials()[..]);
    refused(search(12).seed(1).run(distance), &[path.to_str().unwrap(), "another search"]);
    std::fs::write(&path, "{\"search\": ").unwrap();
    refused(search(12).run(distance), &[path.to_str().unwrap(), "no file of results"]);
    for file in [path, whole_path] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_trial_that_diverges_ranks_last() {
    let diverging = |trial: &Trial| match trial.index() {
        1 => Err(Error::LossNotFinite { loss: f64::NAN, step: 3 }),
        2 => Ok(f64::INFINITY),
        _ => distance(trial),
    };
    let results = RandomSearch::new(space(), 5).run(diverging).unwrap();
    let ranked = results.ranked();
    assert_eq!([ranked[3], ranked[4]].map(|done| done.trial.index()), [1, 2]);
    assert!(ranked[3].failure().unwrap().contains("step 3") && ranked[4].score().is_none());
    let table = results.to_string();
    assert_eq!(table.lines().count(), 7);
    assert!(table.lines().last().unwrap().ends_with("failed"), "{table}");
    assert!(
        table.lines().next().unwrap().split_whitespace().eq(["trial", "budget", "word", "units", "x", "rate", "score"])
    );
    let csv = results.to_csv();
    assert_eq!(csv.lines().next(), Some("trial,budget,word,units,x,rate,score"));
    assert!(csv.lines().nth(2).unwrap().ends_with(','));
    let score: f64 = csv.lines().nth(1).unwrap().rsplit(',').next().unwrap().parse().unwrap();
    assert_eq!(score, results.trials()[0].score().unwrap());
    refused(RandomSearch::new(space(), 2).run(|_| Ok(f64::NAN)), &["a trial with a finite score", "NaN"]);
}

#[test]
fn spaces_and_questions_that_make_no_sense_are_refused() {
    let run = |space: Space| RandomSearch::new(space, 2).run(|_| Ok(0.0));
    refused(run(Space::new()), &["hyper-parameters", "none"]);
    refused(run(Space::new().uniform("a", 0.0..=1.0).integer("a", 1..=2)), &["`a`", "once"]);
    refused(run(Space::new().choice("a", Vec::<i64>::new())), &["`a`", "at least one value"]);
    #[allow(clippy::reversed_empty_ranges)]
    let falling = Space::new().integer("a", 3..=2);
    refused(run(falling), &["`a`", "does not fall"]);
    refused(run(Space::new().log_uniform("a", 0.0..=1.0)), &["`a`", "above 0"]);
    refused(run(Space::new().uniform("a", 0.0..=f64::INFINITY)), &["`a`", "finite"]);
    refused(RandomSearch::new(space(), 0).run(distance), &["`trials`"]);
    refused(RandomSearch::new(space(), 1).threads(0).run(distance), &["`threads`"]);
    refused(GridSearch::new(space()).points(0).run(distance), &["`points`"]);
    refused(SuccessiveHalving::new(space(), 4, 1..=9).factor(1).run(distance), &["`factor`"]);
    refused(SuccessiveHalving::new(space(), 4, 0..=9).run(distance), &["`budgets`"]);
    let ask = |question: fn(&Trial) -> gradus::Result<()>| {
        RandomSearch::new(space(), 1).run(|trial| question(trial).map(|()| 0.0))
    };
    refused(ask(|trial| trial.number("y").map(drop)), &["hyper-parameter `y`", "`rate`"]);
    refused(ask(|trial| trial.number("word").map(drop)), &["`word`", "a number"]);
    refused(ask(|trial| trial.text("x").map(drop)), &["`x`", "a word"]);
    refused(ask(|trial| trial.integer::<usize>("x").map(drop)), &["`x`", "whole"]);
}

#[test]
fn folds_are_scored_in_their_order_side_by_side() {
    let folds = KFold::new().n_splits(4).split(10).unwrap();
    let scores = cross_validate(&folds, |fold| Ok(fold.test[0] as f64)).unwrap();
    assert_eq!(scores.scores, [0.0, 3.0, 6.0, 8.0]);
    assert_eq!((scores.mean(), scores.deviation()), (4.25, (37.0f64 / 4.0 - 0.0625).sqrt()));
    assert_eq!(scores.to_string(), "4.2500 ± 3.0311 (4 folds)");
    let failing = |fold: &gradus::data::Fold| if fold.test[0] == 3 { Ok(f64::NAN) } else { Ok(0.0) };
    refused(cross_validate(&folds, failing), &["fold 1", "NaN"]);
    refused(cross_validate(&[], failing), &["at least one fold"]);
}

#[test]
fn a_word_that_reads_failed_is_not_a_failure() {
    let space = Space::new().choice("word", ["failed", "fine"]);
    let csv = GridSearch::new(space).verbose(0).run(|trial| Ok(trial.index() as f64)).unwrap().to_csv();
    assert_eq!(csv, "trial,budget,word,score\n0,1,failed,0\n1,1,fine,1\n");
}

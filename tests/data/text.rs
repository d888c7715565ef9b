//! Texts, vocabularies, drawing and searching; sequences and windows; `.ts` files.
#![allow(clippy::unwrap_used)]

use gradus::data::text::{BeamSearch, Ngrams, OutputMode, Sampler, Split, Standardize, TextVectorization, Vectorizer};
#[cfg(feature = "datasets")]
use gradus::data::ts;
use gradus::data::{PadSequences, Side, Windows};
use ndarray::{Array1, Array2, array};

fn message<T: std::fmt::Debug>(refused: gradus::Result<T>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn a_saved_vocabulary_gives_the_same_numbers() -> gradus::Result<()> {
    let path = std::env::temp_dir().join(format!("gradus-vocabulary-{}.json", std::process::id()));
    let texts = ["a b b \"c\"", "b ü \\ d", ""];
    for mode in [OutputMode::Int, OutputMode::MultiHot, OutputMode::Count, OutputMode::TfIdf] {
        let text = TextVectorization::new().standardize(None).ngrams(2).output_mode(mode).adapt(&texts)?;
        text.save(&path)?;
        let loaded = Vectorizer::load(&path)?;
        assert_eq!(text.vocabulary(), loaded.vocabulary());
        assert_eq!(text.transform::<f64>(&texts), loaded.transform::<f64>(&texts));
    }
    std::fs::write(&path, "[1, 2").unwrap();
    assert!(message(Vectorizer::load(&path)).starts_with(&path.display().to_string()));
    std::fs::write(&path, "{\"vocabulary\": [\"a\", \"a\"]}").unwrap();
    assert!(message(Vectorizer::load(&path)).contains("each once, received `a` at 3"));
    std::fs::remove_file(&path).unwrap();
    assert!(message(Vectorizer::load(&path)).starts_with(&path.display().to_string()));
    Ok(())
}

#[test]
fn functions_of_ones_own_standardize_and_split() -> gradus::Result<()> {
    let text = TextVectorization::new()
        .standardize(Standardize::Custom(|text| text.replace('-', " ").to_uppercase()))
        .split(Split::Custom(|text| text.split(' ').map(String::from).collect()))
        .adapt(&["a-b b"])?;
    assert_eq!(text.vocabulary(), ["", "[UNK]", "B", "A"]);
    assert_eq!(text.ids("b-c"), [2, 1]);
    assert!(message(text.to_config()).contains("custom function"));
    Ok(())
}

#[test]
fn wrong_options_and_vocabularies_are_refused_by_name() {
    let new = TextVectorization::new;
    assert_eq!(message(new().max_tokens(1).adapt(&["a"])), "`max_tokens` must be at least 2, got 1");
    assert!(message(new().output_sequence_length(0).adapt(&["a"])).contains("`output_sequence_length`"));
    assert!(message(new().pad_to_max_tokens(true).adapt(&["a"])).contains("`max_tokens`"));
    assert!(message(new().ngrams(Ngrams::from([0])).adapt(&["a"])).contains("`ngrams`"));
    assert!(message(new().adapt(&["", " ?"])).contains("tokens in them, received 2 texts without"));
    assert!(message(new().max_tokens(3).with_vocabulary(["a", "b"], None)).contains("max_tokens = 3"));
    assert!(message(new().with_vocabulary(["a"], Some(vec![1.0]))).contains("tf_idf only"));
}

#[test]
fn draws_follow_the_distribution() -> gradus::Result<()> {
    let probabilities = [0.5, 0.2, 0.3, 0.0];
    let logarithms = probabilities.map(f64::ln);
    // At temperature 1/2 probabilities are squared; of the two likeliest only 0 and 2 are left.
    for (temperature, top_k, expected) in [
        (1.0, None, probabilities),
        (0.5, None, [0.25 / 0.38, 0.04 / 0.38, 0.09 / 0.38, 0.0]),
        (1.0, Some(2), [0.625, 0.0, 0.375, 0.0]),
        (0.0, None, [1.0, 0.0, 0.0, 0.0]),
    ] {
        let mut sampler = Sampler::new(7).temperature(temperature).top_k(top_k);
        let (mut counts, draws) = ([0u32; 4], 40_000);
        for _ in 0..draws {
            counts[sampler.sample(&logarithms)?] += 1;
        }
        for (count, want) in counts.into_iter().zip(expected) {
            let got = f64::from(count) / f64::from(draws);
            // Four standard deviations of the share.
            assert!((got - want).abs() <= 4.0 * (want * (1.0 - want) / f64::from(draws)).sqrt(), "{got} for {want}");
        }
    }
    let draw = |seed| -> gradus::Result<Vec<usize>> {
        let mut sampler = Sampler::new(seed);
        (0..20).map(|_| sampler.sample(&logarithms)).collect()
    };
    assert_eq!(draw(1)?, draw(1)?);
    assert_ne!(draw(1)?, draw(2)?);
    // Logits far from 0 neither overflow nor vanish.
    assert_eq!(Sampler::new(0).sample(&[-1e30f32, 1e30])?, 1);
    for (logarithms, part) in [
        (vec![], "0 tokens"),
        (vec![f64::NAN, 0.0], "NaN at 0"),
        (vec![0.0, f64::INFINITY], "inf at 1"),
        (vec![f64::NEG_INFINITY], "none of them possible"),
    ] {
        assert!(message(Sampler::new(0).sample(&logarithms)).contains(part));
    }
    assert!(message(Sampler::new(0).temperature(-1.0).sample(&[0.0])).contains("`temperature`"));
    assert!(message(Sampler::new(0).top_k(0).sample(&[0.0])).contains("`top_k`"));
    Ok(())
}

/// The logarithm of the probability of each token after a beginning: a chain that remembers two tokens.
fn chain(beginning: &[usize]) -> Vec<f64> {
    let [.., last] = beginning else { return Vec::new() };
    let before = beginning.len().checked_sub(2).map_or(0, |at| beginning[at]);
    let weights: Vec<f64> = (0..4).map(|token| ((token + 2) * (3 * last + before + 1) % 7 + 1) as f64).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / total).ln()).collect()
}

/// All sequences that end in token 3 after at most `left` tokens, and their logarithms of probabilities.
fn all(beginning: &mut Vec<usize>, log_probability: f64, left: usize, found: &mut Vec<(Vec<usize>, f64)>) {
    for (token, logarithm) in chain(beginning).into_iter().enumerate() {
        if token == 3 {
            found.push((beginning[1..].to_vec(), log_probability + logarithm));
        } else if left > 1 {
            beginning.push(token);
            all(beginning, log_probability + logarithm, left - 1, found);
            beginning.pop();
        }
    }
}

#[test]
fn a_wide_beam_finds_the_best_of_all_sequences() -> gradus::Result<()> {
    let next = |beginnings: ndarray::ArrayView2<'_, usize>| {
        let rows: Vec<f64> = beginnings.outer_iter().flat_map(|row| chain(&row.to_vec())).collect();
        Ok(Array2::from_shape_vec((beginnings.nrows(), 4), rows).unwrap())
    };
    for penalty in [0.0, 0.7] {
        let mut every = Vec::new();
        all(&mut vec![0], 0.0, 5, &mut every);
        let score = |(tokens, log_p): &(Vec<usize>, f64)| log_p / ((6.0 + tokens.len() as f64) / 6.0).powf(penalty);
        every.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let best = BeamSearch::new(0, 3, 5).width(400).length_penalty(penalty).search(next)?;
        for (found, wanted) in best.iter().zip(&every).take(10) {
            assert!(found.ended && (found.log_probability - wanted.1).abs() < 1e-12, "{found:?}, wanted {wanted:?}");
            assert!((found.score - score(wanted)).abs() < 1e-12);
        }
    }
    // A beam of one is the greedy way.
    let greedy = BeamSearch::new(0, 3, 5).width(1).search(next)?;
    let mut tokens = vec![0];
    while tokens.len() <= 5 {
        let row = chain(&tokens);
        let best = (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        tokens.push(best);
    }
    assert!(tokens[1..].starts_with(&greedy[0].tokens));
    Ok(())
}

#[test]
fn a_beam_refuses_what_is_no_distribution() {
    let search = |rows: usize, columns: usize, value: f64| {
        message(BeamSearch::new(0, 3, 5).search(|_| Ok(Array2::from_elem((rows, columns), value))))
    };
    assert!(search(2, 4, 0.0).contains("1 rows, a column for token 3, received (2, 4)"));
    assert!(search(1, 3, 0.0).contains("received (1, 3)"));
    assert!(search(1, 4, f64::NAN).contains("received NaN"));
    let width = BeamSearch::new(0, 3, 5).width(0).search(|_| Ok(Array2::<f64>::zeros((1, 4))));
    assert!(message(width).contains("`width`"));
}

#[test]
fn sequences_that_cannot_be_padded_are_refused() -> gradus::Result<()> {
    assert_eq!(message(PadSequences::<f32>::new().maxlen(0).pad(&[[1.0]])), "`maxlen` must be at least 1, got 0");
    assert!(message(PadSequences::<i64>::new().pad(&[[0; 0]; 0])).contains("at least one sequence"));
    let uneven = [Array2::<f32>::zeros((3, 2)), Array2::zeros((0, 5)), Array2::zeros((1, 3))];
    assert!(
        message(PadSequences::new().pad_arrays(&uneven)).contains("steps of shape (2), received (3) in sequence 2")
    );
    let padded = PadSequences::new().padding(Side::Post).value(9).pad(&[vec![], vec![1u8]])?;
    assert_eq!(padded, array![[9], [1]]);
    Ok(())
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let series = Array1::<f32>::zeros(10);
    let over = |windows: Windows| message(windows.over(&series));
    assert!(over(Windows::new(0)).contains("`sequence_length`"));
    assert!(over(Windows::new(11)).contains("at least 11 steps"));
    assert!(over(Windows::new(2).sequence_stride(0)).contains("`sequence_stride`"));
    assert!(over(Windows::new(2).sampling_rate(10)).contains("`sampling_rate`"));
    assert!(over(Windows::new(2).start_index(10)).contains("`start_index`"));
    assert!(over(Windows::new(2).start_index(4).end_index(4)).contains("`end_index`"));
    let few = Windows::new(2).start_index(5).with_targets(&series, &Array1::<f32>::zeros(6));
    assert!(message(few).contains("targets for all"));
}

#[cfg(feature = "datasets")]
#[test]
fn a_damaged_ts_file_is_refused_with_its_line() {
    let head = "# comment\n@problemName walks\n@classLabel true up down\n\n@data\n";
    for (file, part) in [
        ("@problemName walks\n".to_owned(), "without @data"),
        ("1,2,3:up\n".to_owned(), "line 1"),
        ("@timeStamps true\n@data\n1,2\n".to_owned(), "(time,value)"),
        ("@targetLabel true\n@data\n1,2:up\n".to_owned(), "found `up`"),
        ("@relation x\n@attribute a numeric\n@data\n1,2\n".to_owned(), "ARFF"),
        (format!("{head}1,2:3,4:sideways\n"), "line 6"),
        (format!("{head}1,2:3,4:up\n1,2:up\n"), "line 7"),
        (format!("{head}1,2:3:up\n"), "channels of 2 and 1 samples"),
        (format!("{head}1,x:3,4:up\n"), "found `x`"),
        (format!("{head}up\n"), "found 0"),
    ] {
        let refused = message(ts::parse::<f32>(&file));
        assert!(refused.contains(part), "{refused}");
    }
    let gap = ts::parse::<f32>(&format!("{head}1,?:3,4:down\n")).unwrap();
    assert!(gap.series[0][[1, 0]].is_nan() && gap.labels == [1]);
}

#[cfg(feature = "datasets")]
#[test]
fn samples_with_their_times_and_targets_that_are_numbers_are_read() {
    let stamps = "@timeStamps true\n@classLabel true a b\n@data\n(0,1.5),(1,2.5):(2020-01-01 00:00:00,?),(2020-01-01 00:01:00,4):b\n";
    let read = ts::parse::<f64>(stamps).unwrap();
    assert_eq!(read.series[0].column(0).to_vec(), [1.5, 2.5]);
    assert!(read.series[0][[0, 1]].is_nan() && read.series[0][[1, 1]] == 4.0);
    assert_eq!((read.labels, read.targets.len()), (vec![1], 0));
    let targets = "\u{feff}@problemName heat\n@targetLabel true\n@data\n1,2:3,4:-0.5\n5,6:7,8:12\n";
    let read = ts::parse::<f32>(targets).unwrap();
    assert_eq!((read.targets, read.series.len()), (vec![-0.5, 12.0], 2));
    assert_eq!((read.name.as_str(), read.labels.len()), ("heat", 0));
}

#[cfg(feature = "datasets")]
#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let path = std::env::temp_dir().join(format!("gradus-bom-{}.txt", std::process::id()));
    std::fs::write(&path, "\u{feff}hello\n\u{feff}world\n").unwrap();
    assert_eq!(gradus::data::text::read(&path).unwrap(), "hello\n\u{feff}world\n");
    for _ in 0..2 {
        let lines: Vec<String> = gradus::data::Stream::lines(&path).pass(0).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, ["hello", "\u{feff}world"]);
    }
    std::fs::remove_file(path).unwrap();
}

//! Streams: what each step does, and that a model learns from one as from arrays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gradus::data::{Sample, Stream};
use ndarray_rand::rand::Rng;

use super::*;

fn numbers(count: usize) -> Stream<usize> {
    Stream::of_items(move |_| Ok(0..count))
}

fn collected<T: Send + 'static>(stream: &Stream<T>, pass: u64) -> Vec<T> {
    stream.pass(pass).unwrap().collect::<gradus::Result<_>>().unwrap()
}

#[track_caller]
fn refused<T: Send + 'static>(stream: &Stream<T>, part: &str) {
    let all = stream.pass(0).and_then(Iterator::collect::<gradus::Result<Vec<T>>>);
    let error = all.err().expect("an error").to_string();
    assert!(error.contains(part), "{error} does not hold {part:?}");
}

/// Options for a stream, which makes its batches.
fn passes<'a>(epochs: usize) -> Fit<'a, f64> {
    Fit::new().epochs(epochs).verbose(0)
}

/// The rows of [`rows`] and [`targets`], as samples.
pub fn samples(count: usize) -> Stream<Sample<f64>> {
    let (x, y) = (rows(count, 3), targets(count));
    numbers(count).map(move |i| Ok(Sample::new(&x.row(i), &y.row(i))))
}

#[test]
fn each_step_does_what_a_list_would() {
    assert_eq!(collected(&numbers(4).map(|i| Ok(i * i)), 0), [0, 1, 4, 9]);
    assert_eq!(collected(&numbers(9).filter(|i| i % 3 == 1), 0), [1, 4, 7]);
    assert_eq!(collected(&numbers(9).skip(2).take(3), 0), [2, 3, 4]);
    assert_eq!(collected(&numbers(2).take(5), 0), [0, 1]);
    assert_eq!(collected(&numbers(5).batch(2), 0), [vec![0, 1], vec![2, 3], vec![4]]);
    assert_eq!(collected(&numbers(5).batch_drop_remainder(2), 0), [[0, 1], [2, 3]]);
    assert_eq!(collected(&numbers(4).batch_drop_remainder(2), 0), [[0, 1], [2, 3]]);
    assert_eq!(collected(&numbers(2).repeat(3), 0), [0, 1, 0, 1, 0, 1]);
    assert_eq!(collected(&numbers(2).repeat(None).take(5), 0), [0, 1, 0, 1, 0]);
    assert_eq!(collected(&numbers(9).zip(numbers(2).map(|i| Ok(10 * i))), 0), [(0, 0), (1, 10)]);
    assert_eq!(collected(&numbers(500).prefetch(3), 0), (0..500).collect::<Vec<_>>());
    assert!(collected(&numbers(0).repeat(2), 0).is_empty());
    refused(&numbers(0).repeat(None), "repeat: expected a stream with items");
    refused(&numbers(3).batch(0), "batch: `items`");
    refused(&numbers(3).shuffle(0, 1), "shuffle: `buffer`");
    refused(&numbers(3).prefetch(0), "prefetch: `items`");
}

#[test]
fn shuffling_draws_from_its_buffer_as_seed_and_pass_say() {
    let shuffled = numbers(200).shuffle(20, 5);
    let first = collected(&shuffled, 0);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..200).collect::<Vec<_>>());
    // Nothing comes before it can have been read.
    assert!(first.iter().enumerate().all(|(place, &item)| item < place + 20));
    assert!(first.iter().enumerate().any(|(place, &item)| item == place + 19), "the buffer is used whole");
    assert_eq!(first, collected(&shuffled, 0));
    assert_ne!(first, collected(&shuffled, 1));
    assert_ne!(first, collected(&numbers(200).shuffle(20, 6), 0));
    assert_eq!(collected(&numbers(9).shuffle(1, 5), 0), (0..9).collect::<Vec<_>>());
    // Each repetition has an order of its own.
    let twice = collected(&numbers(50).shuffle(50, 1).repeat(2), 3);
    assert_eq!(twice[..50], collected(&numbers(50).shuffle(50, 1), 3)[..]);
    assert_ne!(twice[..50], twice[50..]);
    // Where the buffer holds all, every place is equally likely: 3 items, 6 orders.
    let mut seen = std::collections::BTreeMap::new();
    for pass in 0..600 {
        *seen.entry(collected(&numbers(3).shuffle(9, 2), pass)).or_insert(0) += 1;
    }
    assert!(seen.len() == 6 && seen.values().all(|&count| (60..140).contains(&count)), "{seen:?}");
}

#[test]
fn nothing_follows_an_error() {
    let broken = numbers(5).map(|i| if i == 2 { Err(Error::data("reading", "a number", "none")) } else { Ok(i) });
    for stream in
        [broken.clone(), broken.clone().shuffle(2, 0), broken.clone().prefetch(2), broken.clone().filter(|_| false)]
    {
        let items: Vec<_> = stream.pass(0).unwrap().collect();
        assert!(items.last().unwrap().is_err() && items.iter().filter(|item| item.is_err()).count() == 1);
    }
    refused(&broken.clone().skip(4), "a number");
    refused(&broken.batch(10), "a number");
    refused(&Stream::lines("no/such/file"), "no/such/file");
}

#[test]
fn a_reader_stops_when_nobody_listens_and_passes_its_panic_on() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let endless = Stream::of_items(move |_| {
        let counter = Arc::clone(&counter);
        Ok((0..).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }))
    });
    assert_eq!(collected(&endless.prefetch(4).take(10), 0), (0..10).collect::<Vec<_>>());
    assert!((10..=14).contains(&read.load(Ordering::SeqCst)), "it read {} items", read.load(Ordering::SeqCst));
    let panicking = numbers(3).map(|i| Ok(1 / (2 - i.min(2)))).prefetch(1);
    assert!(std::thread::spawn(move || collected(&panicking, 0)).join().is_err());
}

#[test]
fn a_stream_teaches_what_its_arrays_teach() -> gradus::Result<()> {
    let (x, y) = (rows(30, 3), targets(30));
    let mut of_arrays = small(Adam::new());
    let expected = of_arrays.fit(&x, &y, quiet(7, 3).shuffle(false).validation_data(&x, &y))?;
    let stream = samples(30).batch(7);
    for (threads, stream) in [(1, stream.clone()), (3, stream.clone().prefetch(2))] {
        let mut model = small(Adam::new());
        model.set_threads(threads)?;
        let validation = samples(30).batch(7);
        let history = model.fit_data(&stream, passes(3).validation(&validation))?;
        assert_eq!(model.get_weights(), of_arrays.get_weights());
        assert_eq!(history, expected);
        assert_eq!(model.evaluate_data(&samples(30).batch(256))?, of_arrays.evaluate(&x, &y)?);
    }
    Ok(())
}

#[test]
fn epochs_of_a_shuffled_stream_differ_and_a_resumed_one_goes_on() -> gradus::Result<()> {
    // Twelve batches and seven steps an epoch: passes end inside epochs.
    let stream = samples(24).shuffle(24, 1).batch(2).take(12);
    for steps in [None, Some(7), Some(20)] {
        let options = |from: usize, to: usize| {
            let fit = passes(to).initial_epoch(from);
            if let Some(steps) = steps { fit.steps_per_epoch(steps) } else { fit }
        };
        let mut whole = small(Adam::new());
        let history = whole.fit_data(&stream, options(0, 5))?;
        assert_eq!(history.epochs().len(), 5);
        let path = std::env::temp_dir().join(format!("gradus-stream-{}.safetensors", std::process::id()));
        let mut first = small(Adam::new());
        first.fit_data(&stream, options(0, 3))?;
        first.save_checkpoint(&path)?;
        let mut second = small(Adam::new());
        let epoch = second.resume(&path)?;
        second.fit_data(&stream, options(epoch, 5))?;
        std::fs::remove_file(&path).unwrap();
        assert_eq!(second.get_weights(), whole.get_weights(), "{steps:?} steps an epoch");
    }
    // With a fixed number of steps the second epoch sees what the first did not.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (x, y) = (rows(6, 3), targets(6));
    let watched = numbers(6).map(move |i| {
        log.lock().unwrap().push(i);
        Ok(Sample::new(&x.row(i), &y.row(i)))
    });
    small(SGD::new()).fit_data(&watched.batch(1), passes(4).steps_per_epoch(2))?;
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4, 5, 0, 1], "the last epoch begins the second pass");
    Ok(())
}

#[test]
fn a_data_set_streams_with_its_weights() -> gradus::Result<()> {
    /// Rows of [`rows`] of which every second one counts.
    struct Halves;
    impl Dataset<f64> for Halves {
        fn len(&self) -> usize {
            12
        }
        fn input_shapes(&self) -> Vec<Vec<usize>> {
            vec![vec![3]]
        }
        fn target_shapes(&self) -> Vec<Vec<usize>> {
            vec![vec![1]]
        }
        fn weight_shapes(&self) -> Vec<Option<Vec<usize>>> {
            vec![Some(vec![])]
        }
        fn gather(&self, wanted: &[usize], batch: &mut Batch<'_, f64>) -> gradus::Result<()> {
            let (x, y) = (rows(12, 3), targets(12));
            for (place, &row) in wanted.iter().enumerate() {
                batch.input(0)[3 * place..][..3].copy_from_slice(x.row(row).as_slice().unwrap());
                batch.target(0)[place] = y[[row, 0]];
                batch.weights(0).unwrap()[place] = (row % 2) as f64;
            }
            Ok(())
        }
    }
    let mut expected = small(Adam::new());
    expected.fit_data(&Halves, quiet(4, 2).shuffle(false))?;
    let mut model = small(Adam::new());
    model.fit_data(&Stream::of(Halves).batch(4), passes(2))?;
    assert_eq!(model.get_weights(), expected.get_weights());
    let mut plain = small(Adam::new());
    plain.fit_data(&samples(12).batch(4), passes(2))?;
    assert_ne!(plain.get_weights(), expected.get_weights(), "the weights count");
    Ok(())
}

#[test]
fn changes_at_random_are_the_same_in_every_run() {
    let noisy = numbers(5).map_with(3, |i, rng| Ok(i as f64 + rng.random_range(0.0..0.5)));
    let first = collected(&noisy, 0);
    assert_eq!(first, collected(&noisy.clone().prefetch(2), 0));
    assert!(first.iter().zip(collected(&noisy, 1)).all(|(a, b)| *a != b));
}

#[test]
fn streams_that_do_not_fit_are_refused_before_the_step() {
    let x = rows(4, 3);
    let with = |stream: Stream<Sample<f64>>, parts: &[&str]| {
        let mut model = small(SGD::new());
        let before = model.get_weights();
        let error = model.fit_data(&stream.clone().batch(4), passes(1)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}: {parts:?}");
        assert_eq!(model.get_weights(), before);
        let error = model.evaluate_data(&stream.batch(4)).unwrap_err().to_string();
        assert!(parts[1..].iter().all(|part| error.contains(part)), "{error}: {parts:?}");
    };
    let samples =
        |x: Array2<f64>, y: Vec<Array1<f64>>| numbers(x.nrows()).map(move |i| Ok(Sample::new(&x.row(i), &y[i])));
    let good: Vec<_> = (0..4).map(|_| array![1.0]).collect();
    with(
        samples(rows(4, 2), good.clone()),
        &["fit", "batch 0 of the stream", "input rows of shapes (3)", "received (2)"],
    );
    with(samples(x.clone(), vec![array![1.0, 2.0]; 4]), &["fit", "batch 0", "a target"]);
    let mut uneven = good.clone();
    uneven[2] = array![1.0, 2.0];
    with(samples(x.clone(), uneven), &["fit", "row 2 of the batch", "samples of the shapes"]);
    let mut missing = x.clone();
    missing[[3, 1]] = f64::NAN;
    with(samples(missing, good), &["fit", "NaN at row 3 of the batch"]);
    with(samples(x, vec![array![1.0]; 4]).filter(|_| false), &["fit", "none"]);
    let heavy = numbers(4).map(|_| Ok(Sample::new(&array![1.0, 2.0, 3.0], &array![1.0]).weight(&array![1.0, 2.0])));
    with(heavy, &["fit", "batch 0", "weight"]);
}

#[cfg(feature = "csv")]
#[test]
fn a_csv_file_streams_row_by_row_and_names_the_line_that_is_broken() {
    let path = std::env::temp_dir().join(format!("gradus-stream-{}.csv", std::process::id()));
    std::fs::write(&path, "a,b\n1, x\n?,y\n3,z\n").unwrap();
    let stream = Stream::csv(&path, true);
    let texts = |record: gradus::data::Record| Ok(record.text("b")?.to_owned());
    assert_eq!(collected(&stream.clone().map(texts), 0), ["x", "y", "z"]);
    let a = collected(&stream.clone().map(|record| record.number::<f64>("a")), 1);
    assert!(a[0] == 1.0 && a[1].is_nan() && a[2] == 3.0);
    refused(&stream.clone().map(|record| record.number::<f32>("b")), "line 2: expected a number in column `b`");
    refused(&stream.clone().map(|record| record.number::<f32>("c")), "column `c`");
    let headless = Stream::csv(&path, false).map(|record| Ok(record.text("0")?.to_owned()));
    assert_eq!(collected(&headless, 0), ["a", "1", "?", "3"]);
    std::fs::write(&path, "a,b\n1,2\n3\n").unwrap();
    refused(&stream, "line 3: expected 2 fields");
    let lines = collected(&Stream::lines(&path), 0);
    assert_eq!(lines, ["a,b", "1,2", "3"]);
    std::fs::remove_file(&path).unwrap();
    refused(&stream, path.to_str().unwrap());
}

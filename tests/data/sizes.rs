//! Sizes of arrays that no memory could hold: each is an error that names the option.

#[cfg(feature = "images")]
use gradus::data::images::{self, Resize};
use gradus::data::{
    GroupKFold, KFold, PadSequences, StratifiedKFold, Stream, TimeSeriesSplit, Windows, to_categorical,
    train_test_split,
};
#[cfg(feature = "images")]
use ndarray::Array3;
use ndarray::{Array1, array};

use super::refuses::refuses;

const HUGE: usize = usize::MAX / 64;

#[cfg(feature = "images")]
#[test]
fn images_larger_than_memory() {
    let image = Array3::<u8>::zeros((4, 4, 3));
    let three = Array3::<u8>::zeros((3, 2, 2));
    let numbers = image.mapv(f32::from);
    for size in [HUGE, usize::MAX, 1 << 40] {
        refuses(images::enlarge(&image, size), &["enlarge", "`times`", "takes"]);
        refuses(images::grid(&three, 2, size), &["grid", "`gap`", "takes"]);
        refuses(images::resize(&image, [size, 2]), &["resize", "`size`", "takes"]);
        refuses(images::pad(&image, [[size, 0], [0, size]], 0), &["pad", "`padding`", "takes"]);
        refuses(images::center_crop(&numbers, [size, size]), &["`size`", "takes"]);
        refuses(Resize::new([2, size]).apply(&numbers), &["resize", "`size`", "takes"]);
        refuses(Resize::new([2, size]).pad_to_aspect_ratio(true).apply(&numbers), &["takes"]);
    }
}

#[test]
fn rows_and_sequences_larger_than_memory() {
    refuses(to_categorical(&array![0u8, 1], HUGE), &["to_categorical", "`classes`", "takes"]);
    refuses(to_categorical(&array![u64::MAX], None), &["to_categorical"]);
    let sequences = [vec![1], vec![2, 3]];
    for length in [HUGE, usize::MAX] {
        refuses(PadSequences::new().maxlen(length).pad(&sequences), &["pad_sequences", "`maxlen`", "takes"]);
    }
    let series: Array1<f32> = (0..6).map(|t| t as f32).collect();
    refuses(Windows::new(usize::MAX).over(&series), &["windows"]);
}

#[test]
fn folds_of_more_rows_than_memory() {
    refuses(train_test_split(HUGE, 0.5, 0), &["TrainTestSplit", "`n`", "takes"]);
    refuses(KFold::new().split(HUGE), &["KFold", "`n_splits`", "takes"]);
    refuses(KFold::new().n_splits(1 << 40).split(1 << 41), &["KFold", "`n_splits`", "takes"]);
    refuses(TimeSeriesSplit::new().split(usize::MAX), &["TimeSeriesSplit"]);
    refuses(StratifiedKFold::new().n_splits(usize::MAX).split([1, 1, 2]), &["n_splits"]);
    refuses(GroupKFold::new().n_splits(usize::MAX).split([1, 1, 2]), &["n_splits"]);
}

#[test]
fn a_stream_that_would_read_everything_ahead() {
    for items in [HUGE, usize::MAX] {
        let stream = Stream::of_items(|_| Ok(0..3u64)).prefetch(items);
        refuses(stream.pass(0), &["prefetch", "`items`", "takes"]);
    }
}

#[cfg(feature = "audio")]
#[test]
fn transforms_larger_than_memory() {
    use gradus::data::audio::{DCT, MelFilterbank, STFT, linear_to_mel_weight_matrix};
    let signal = Array1::<f32>::zeros(32);
    refuses(STFT::new(2, 1, HUGE).transform(&signal), &["`fft_length`"]);
    refuses(MelFilterbank::new(8000.0, 512).num_mel_bins(HUGE).matrix::<f32>(), &["`num_mel_bins`"]);
    refuses(linear_to_mel_weight_matrix::<f32>(8, HUGE, 8000.0, 0.0, 4000.0), &["`num_mel_bins`"]);
    refuses(DCT::new().n(HUGE).transform(&signal), &["`n`"]);
}

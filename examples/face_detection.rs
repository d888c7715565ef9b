//! Is this a face? A small network learns it from 200 images, and then finds faces in a picture through a sliding window.
//!
//! | | |
//! | --- | --- |
//! | data | 100 faces and 100 other pieces of photographs, 25×25 grey, from Labeled Faces in the Wild; ships in `data/faces` |
//! | command | `cargo run --release --features images --example face_detection` |
//! | expected | faces among others: test accuracy 0.9950, AUC 0.9999 (sharpness alone: 0.9750, 0.9951); among themselves upside down and shuffled: 0.9867, 0.9975 (0.6633, 0.4069); 12 of 12 faces found, no window wrong (seed 0) |
//! | time | 26 s of processor time, 260 MB (AMD EPYC; measured while others computed) |

mod arguments;

use std::path::Path;

use gradus::custom::*;
use gradus::data::images::{self, ColorMode};
use gradus::data::{Augmentation, AugmentedImages, Fold, GroupKFold, StratifiedKFold};
use gradus::metrics::scores::{Ranking, roc_auc_score};
use gradus::ndarray::{ArrayView3, concatenate, s};
use gradus::random;
use ndarray_rand::rand::Rng;

/// The images without their last row and column: an even number has quarters.
const SIDE: usize = 24;
const COUNT: usize = 100;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(40);
    let (faces, others) = (sheet("faces.png")?, sheet("others.png")?);

    println!("Faces among other pieces of photographs");
    let easy = Task::new(&faces, &[&others]);
    let folds = StratifiedKFold::new().shuffle(true).seed(arguments.seed).split(&easy.y)?;
    easy.report(&folds, &arguments)?;

    println!("Faces among the same faces, upside down and with their quarters shuffled");
    let hard = Task::new(&faces, &[&upside_down(&faces), &shuffled(&faces)]);
    // All that is made of one face stays in one fold.
    let folds = GroupKFold::new().split((0..hard.y.len()).map(|n| n % COUNT))?;
    hard.report(&folds, &arguments)?;

    detect(&faces, &others, &arguments)
}

/// The hundred images of a sheet, (100, 24, 24, 1), from 0 to 1.
fn sheet(name: &str) -> gradus::Result<Array4<f32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/faces").join(name);
    let sheet = images::read(path, ColorMode::Grayscale)?;
    Ok(Array4::from_shape_fn([COUNT, SIDE, SIDE, 1], |(n, i, j, _)| {
        f32::from(sheet[[n / 10 * 25 + i, n % 10 * 25 + j, 0]]) / 255.0
    }))
}

fn upside_down(images: &Array4<f32>) -> Array4<f32> {
    images.slice(s![.., ..;-1, .., ..]).to_owned()
}

/// Each quarter one further, clockwise.
fn shuffled(images: &Array4<f32>) -> Array4<f32> {
    const HALF: usize = SIDE / 2;
    Array4::from_shape_fn(images.dim(), |(n, i, j, c)| {
        let (i, j) = match (i < HALF, j < HALF) {
            (true, true) => (i + HALF, j),
            (true, false) => (i, j - HALF),
            (false, false) => (i - HALF, j),
            (false, true) => (i, j + HALF),
        };
        images[[n, i, j, c]]
    })
}

/// Images, and whether they show a face.
struct Task {
    x: Array4<f32>,
    y: Array1<u8>,
}

impl Task {
    fn new(faces: &Array4<f32>, others: &[&Array4<f32>]) -> Self {
        let mut x = faces.clone();
        for images in others {
            x.append(Axis(0), images.view()).expect("images of one size");
        }
        let y = Array1::from_shape_fn(x.len_of(Axis(0)), |n| u8::from(n < faces.len_of(Axis(0))));
        Self { x, y }
    }

    /// Cross-validation of the network, and of a single number: how sharp an image is.
    fn report(&self, folds: &[Fold], arguments: &arguments::Arguments) -> gradus::Result<()> {
        let sharp: Array1<f32> = self.x.outer_iter().map(|image| sharpness(&image)).collect();
        let mut judged = Array1::zeros(self.y.len());
        let (mut right_by_sharpness, mut right) = (0, 0);
        for fold in folds {
            let level = best_level(&sharp, &self.y, &fold.train);
            let (x, y) = (self.x.select(Axis(0), &fold.train), self.y.select(Axis(0), &fold.train));
            let predicted = train(&x, &y, arguments)?.predict(&self.x.select(Axis(0), &fold.test))?;
            for (&row, &face) in fold.test.iter().zip(&predicted) {
                judged[row] = face;
                right += usize::from((face > 0.5) == (self.y[row] == 1));
                right_by_sharpness += usize::from((sharp[row] > level) == (self.y[row] == 1));
            }
        }
        for (what, right, scores) in [("Sharpness alone", right_by_sharpness, &sharp), ("Network", right, &judged)] {
            let auc = roc_auc_score(&self.y, scores, &Ranking::new())?;
            println!("{what}: test accuracy {:.4}, AUC {auc:.4}", right as f64 / self.y.len() as f64);
        }
        Ok(())
    }
}

/// The mean difference between a pixel and its right and lower neighbours.
fn sharpness(image: &ArrayView3<'_, f32>) -> f32 {
    let right = &image.slice(s![.., 1.., ..]) - &image.slice(s![.., ..-1, ..]);
    let below = &image.slice(s![1.., .., ..]) - &image.slice(s![..-1, .., ..]);
    right.mapv(f32::abs).mean().unwrap_or(0.0) + below.mapv(f32::abs).mean().unwrap_or(0.0)
}

/// The level above which it is most often right to call one of `rows` a face.
fn best_level(sharp: &Array1<f32>, y: &Array1<u8>, rows: &[usize]) -> f32 {
    let right = |level: f32| rows.iter().filter(|&&row| (sharp[row] > level) == (y[row] == 1)).count();
    rows.iter().map(|&row| sharp[row]).max_by_key(|&level| right(level)).unwrap_or(0.0)
}

/// A network trained on images that are mirrored and moved a little.
fn train(x: &Array4<f32>, y: &Array1<u8>, arguments: &arguments::Arguments) -> gradus::Result<gradus::Model> {
    let batch_size = 16;
    let rate = OneCycle::new(0.004, (arguments.epochs * x.len_of(Axis(0)).div_ceil(batch_size)) as u64);
    let mut network = Sequential::new().input([SIDE, SIDE, 1]);
    for filters in [16, 32, 64] {
        // The normalization's own shift takes the place of a bias.
        network = network
            .add(Conv2D::new(filters, 3).padding(Same).use_bias(false))
            .add(BatchNormalization::new().momentum(0.9))
            .add(Relu)
            .add(MaxPool2D::new());
    }
    let mut model = network
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(rate))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    let slightly = Augmentation::new().flip(true).shift(1.5).seed(arguments.seed);
    let targets = y.mapv(f32::from).insert_axis(Axis(1));
    let shown = AugmentedImages::new(x, &targets, slightly)?;
    model.fit_data(&shown, Fit::new().batch_size(batch_size).epochs(arguments.epochs).verbose(0))?;
    Ok(model)
}

/// The upper left corner of a window.
type Corner = [usize; 2];

/// Trains on four fifths of the images, and looks for the faces of the last fifth in a picture made of it.
fn detect(faces: &Array4<f32>, others: &Array4<f32>, arguments: &arguments::Arguments) -> gradus::Result<()> {
    const TRAINED: usize = 80;
    /// How many times as large the picture is drawn.
    const TIMES: usize = 4;
    let part = |images: &Array4<f32>, rows: std::ops::Range<usize>| images.slice(s![rows, .., .., ..]).to_owned();
    let (known, unknown) = (part(faces, 0..TRAINED), part(faces, TRAINED..COUNT));
    let (known_others, unknown_others) = (part(others, 0..TRAINED), part(others, TRAINED..COUNT));

    // Most windows show neither a face nor anything whole: pieces of pictures are among the training images.
    let mut pieces = Vec::new();
    for seed in 0..6 {
        let (picture, boxes) = compose(&known, &known_others, random::mix(seed));
        let mut rng = random::rng(seed, "windows");
        for _ in 0..100 {
            let corner = [0, 1].map(|axis| rng.random_range(0..=picture.shape()[axis] - SIDE));
            if boxes.iter().all(|&face| overlap(corner, face) < 0.4) {
                pieces.push(window(&picture, corner).insert_axis(Axis(0)).to_owned());
            }
        }
    }
    let pieces = concatenate(Axis(0), &pieces.iter().map(|piece| piece.view()).collect::<Vec<_>>());
    let pieces = pieces.expect("pieces of one size");
    // Each face several times, so that there are not many more others.
    let repeated = concatenate(Axis(0), &[known.view(); 6]).expect("images of one size");
    let task = Task::new(&repeated, &[&known_others, &pieces]);
    let model = train(&task.x, &task.y, arguments)?;

    let (picture, boxes) = compose(&unknown, &unknown_others, random::mix(arguments.seed + 99));
    let found = scan(&model, &picture)?;
    let hits = boxes.iter().filter(|&&face| found.iter().any(|&corner| overlap(corner, face) >= 0.5)).count();
    let wrong = found.iter().filter(|&&corner| boxes.iter().all(|&face| overlap(corner, face) < 0.5)).count();
    println!("Sliding window: {hits} of {} faces found, {wrong} windows wrong", boxes.len());

    let mut drawn = images::grayscale_to_rgb(&images::enlarge(&images::to_bytes(&picture)?, TIMES)?)?;
    for (corners, inset, color) in [(&boxes, 0, [0, 200, 0]), (&found, 2, [255, 40, 40])] {
        for corner in corners {
            for inset in [inset, inset + 1] {
                let corner = corner.map(|place| place * TIMES + inset);
                images::draw_rectangle(&mut drawn, corner, [SIDE * TIMES - 2 * inset; 2], &color)?;
            }
        }
    }
    images::write_png(arguments.picture("face_detection.png")?, &drawn)
}

/// A picture of 192×240 pixels, tiled with others, with twelve faces somewhere on it, and where these are.
fn compose(faces: &Array4<f32>, others: &Array4<f32>, seed: u64) -> (Array3<f32>, Vec<Corner>) {
    let mut rng = random::rng(seed, "picture");
    let mut picture = Array3::zeros([8 * SIDE, 10 * SIDE, 1]);
    for (i, j) in (0..8).flat_map(|i| (0..10).map(move |j| (i, j))) {
        let tile = others.index_axis(Axis(0), rng.random_range(0..others.len_of(Axis(0))));
        picture.slice_mut(s![i * SIDE..(i + 1) * SIDE, j * SIDE..(j + 1) * SIDE, ..]).assign(&tile);
    }
    let mut boxes: Vec<Corner> = Vec::new();
    while boxes.len() < 12 {
        let corner = [0, 1].map(|axis| rng.random_range(0..=picture.shape()[axis] - SIDE));
        if boxes.iter().all(|&other| overlap(corner, other) == 0.0) {
            let face = faces.index_axis(Axis(0), boxes.len());
            picture.slice_mut(s![corner[0]..corner[0] + SIDE, corner[1]..corner[1] + SIDE, ..]).assign(&face);
            boxes.push(corner);
        }
    }
    (picture, boxes)
}

fn window(picture: &Array3<f32>, [top, left]: Corner) -> ArrayView3<'_, f32> {
    picture.slice(s![top..top + SIDE, left..left + SIDE, ..])
}

/// Intersection / union of two windows.
fn overlap(a: Corner, b: Corner) -> f64 {
    let both: usize = a.iter().zip(b).map(|(a, b)| SIDE.saturating_sub(a.abs_diff(b))).product();
    both as f64 / (2 * SIDE * SIDE - both) as f64
}

/// The windows that the network takes for faces, two pixels apart; of those that overlap, the one it is surest of.
fn scan(model: &gradus::Model, picture: &Array3<f32>) -> gradus::Result<Vec<Corner>> {
    let places = |axis: usize| (0..=picture.shape()[axis] - SIDE).step_by(2);
    let corners: Vec<Corner> = places(0).flat_map(|top| places(1).map(move |left| [top, left])).collect();
    let mut windows = Array4::zeros([corners.len(), SIDE, SIDE, 1]);
    for (mut place, &corner) in windows.outer_iter_mut().zip(&corners) {
        place.assign(&window(picture, corner));
    }
    let sure = model.predict(&windows)?;
    let mut found: Vec<(f32, Corner)> = sure.iter().copied().zip(corners).filter(|&(sure, _)| sure > 0.5).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut kept: Vec<Corner> = Vec::new();
    for (_, corner) in found {
        if kept.iter().all(|&better| overlap(corner, better) < 0.2) {
            kept.push(corner);
        }
    }
    Ok(kept)
}

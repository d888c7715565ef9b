//! A U-Net that says of every pixel which digit it belongs to: one to three digits, which may overlap, on a noisy ground.
//!
//! | | |
//! | --- | --- |
//! | data | 64×64 scenes made of MNIST's digits, training scenes of its training digits, test scenes of its test digits; ships in `data/mnist` |
//! | command | `cargo run --release --features images --example segmentation` |
//! | expected | foreground IoU 0.9030, mean IoU 0.7202 over 11 classes after 6 epochs (seed 0; with AVX2 in place of AVX-512 0.9009, 0.7119); all taken for ground: mean IoU 0.0861; the best level of brightness: foreground IoU 0.5187 |
//! | time | 80 s on two cores (Intel Xeon, AVX-512), 530 MB |

mod arguments;

use gradus::custom::*;
use gradus::data::{from_categorical, images};
use gradus::metrics::scores::{Average, Classification, jaccard_score};
use gradus::random;
use ndarray_rand::rand::Rng;
use rand_distr::{Distribution, Normal};

const SIDE: usize = 64;
const DIGIT: usize = 28;
/// The ground, and the digits 0 … 9 as 1 … 10.
const CLASSES: usize = 11;
/// From how much ink on a pixel belongs to its digit.
const INK: u8 = 100;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(6);
    let (train, test) = datasets::mnist::load()?;
    let seed = random::mix(arguments.seed);
    let train = Scenes { digits: &train, count: if arguments.smoke { 32 } else { 4000 }, seed };
    // The test scenes are the same for every seed.
    let test = Scenes { digits: &test, count: if arguments.smoke { 16 } else { 1000 }, seed: 0 };

    let batch_size = 16;
    let steps = (arguments.epochs * train.count.div_ceil(batch_size)) as u64;
    let optimizer = Adam::new().learning_rate(OneCycle::new(0.004, steps));
    let (scene, classes) = u_net();
    let mut model = ModelBuilder::new([&scene], [&classes])
        .compile(Compile::new(optimizer).loss(CrossentropyAndDice))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    check_loss(&CrossentropyAndDice, &array![[[0.2, 0.8], [0.7, 0.3]]], &array![[1.0, 0.0]])?;
    model.fit_data(&train, Fit::new().batch_size(batch_size).epochs(arguments.epochs))?;

    let (scenes, truth) = test.all();
    let predicted = from_categorical(&model.predict(&scenes)?)?;
    println!("All ground: mean IoU {:.4}", mean_iou(&truth, &ArrayD::zeros(truth.shape()))?);
    println!("What is brighter than the best level: foreground IoU {:.4}", best_level(&scenes, &truth)?);
    println!("Test foreground IoU: {:.4}", foreground_iou(&truth, &predicted)?);
    println!("Test mean IoU: {:.4}", mean_iou(&truth, &predicted)?);

    // Scene, truth and prediction of eight, two in a row.
    let mut rows = Array4::zeros([24, SIDE, SIDE, 3]);
    for n in 0..8 {
        let scene = images::to_bytes(&scenes.index_axis(Axis(0), n))?;
        let shown = [images::grayscale_to_rgb(&scene)?, coloured(&truth, n), coloured(&predicted, n)];
        for (i, image) in shown.iter().enumerate() {
            rows.index_axis_mut(Axis(0), 3 * n + i).assign(image);
        }
    }
    let picture = images::grid(&rows, 6, 2)?;
    images::write_png(arguments.picture("segmentation.png")?, &images::enlarge(&picture, 3)?)
}

/// 16, 32 and 64 filters: down to a quarter of the size and up again, with the details of the way down beside what comes
/// up.
fn u_net() -> (Symbol<f32>, Symbol<f32>) {
    let twice = |x: &Symbol<f32>, filters: usize| {
        (0..2).fold(x.clone(), |x, _| {
            // The normalization's own shift takes the place of a bias.
            let convolution = Conv2D::new(filters, 3).padding(Same).use_bias(false);
            x.apply(convolution).apply(BatchNormalization::new().momentum(0.9)).apply(Relu)
        })
    };
    let up = |x: &Symbol<f32>, beside: &Symbol<f32>, filters: usize| {
        let enlarged = x.apply(Conv2DTranspose::new(filters, 2).strides(2));
        twice(&call(Concatenate::new(), [beside, &enlarged]), filters)
    };
    let scene = Input::new([SIDE, SIDE, 1]).named("scene");
    let fine = twice(&scene, 16);
    let middle = twice(&fine.apply(MaxPool2D::new()), 32);
    let coarse = twice(&middle.apply(MaxPool2D::new()), 64);
    let joined = up(&up(&coarse, &middle, 32), &fine, 16);
    let classes = joined.apply(Conv2D::new(CLASSES, 1).activation(Softmax).name("classes"));
    (scene, classes)
}

/// Scenes of one to three digits.
struct Scenes<'a> {
    digits: &'a datasets::mnist::Mnist,
    count: usize,
    seed: u64,
}

impl Scenes<'_> {
    /// Draws scene number `number` into `pixels`, and into `truth` the class of each of them.
    fn draw(&self, number: u64, pixels: &mut [f32], truth: &mut [f32]) {
        let mut rng = random::rng(self.seed, number);
        let ground = Normal::new(0.25f32, 0.15).expect("a positive deviation");
        for pixel in pixels.iter_mut() {
            *pixel = ground.sample(&mut rng).clamp(0.0, 1.0);
        }
        truth.fill(0.0);
        for _ in 0..rng.random_range(1..=3) {
            let chosen = rng.random_range(0..self.digits.labels.len());
            let [top, left] = [(); 2].map(|()| rng.random_range(0..=SIDE - DIGIT));
            let strength = rng.random_range(0.5..1.0) / 255.0;
            for ((i, j), &ink) in self.digits.images.index_axis(Axis(0), chosen).indexed_iter() {
                let place = (top + i) * SIDE + left + j;
                pixels[place] = pixels[place].max(strength * f32::from(ink));
                if ink >= INK {
                    truth[place] = f32::from(self.digits.labels[chosen] + 1);
                }
            }
        }
    }

    /// All of them: pixels and classes.
    fn all(&self) -> (Array4<f32>, ArrayD<usize>) {
        let mut scenes = Array4::zeros([self.count, SIDE, SIDE, 1]);
        let mut truth = Array3::<f32>::zeros([self.count, SIDE, SIDE]);
        for (number, (mut scene, mut truth)) in (0..).zip(scenes.outer_iter_mut().zip(truth.outer_iter_mut())) {
            if let (Some(scene), Some(truth)) = (scene.as_slice_mut(), truth.as_slice_mut()) {
                self.draw(number, scene, truth);
            }
        }
        (scenes, truth.mapv(class_of).into_dyn())
    }
}

/// New scenes in every step of a training.
impl Dataset<f32> for Scenes<'_> {
    fn len(&self) -> usize {
        self.count
    }
    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![SIDE, SIDE, 1]]
    }
    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![SIDE, SIDE]]
    }
    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, f32>) -> gradus::Result<()> {
        let step = random::mix(batch.step());
        let (mut pixels, mut truth) = (vec![0.0; SIDE * SIDE], vec![0.0; SIDE * SIDE]);
        for (n, &row) in rows.iter().enumerate() {
            self.draw(step ^ row as u64, &mut pixels, &mut truth);
            let place = n * SIDE * SIDE..(n + 1) * SIDE * SIDE;
            batch.input(0)[place.clone()].copy_from_slice(&pixels);
            batch.target(0)[place].copy_from_slice(&truth);
        }
        Ok(())
    }
}

/// Per image, over its n pixels i with probabilities p and classes t:
///
/// v = −1/n Σᵢ ln p[i, tᵢ] + 1 − 1/|C| Σ_{c ∈ C} D_c, with D_c = 2·I_c / (P_c + T_c)
///
/// C: the classes that the image shows; I_c = Σ p[i, c] over the pixels with tᵢ = c, P_c = Σ p[i, c] over all,
/// T_c their number. The first part judges pixels, of which most are ground; in the second every class counts alike.
struct CrossentropyAndDice;

/// What a probability is at least, where it is divided by.
const LEAST: f64 = 1e-7;

/// The class that a target holds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, and at least 0
fn class_of<F: Scalar>(target: F) -> usize {
    target.f64() as usize
}

/// I, P and T of each class in one image.
fn shares<F: Scalar>(p: &[F], t: &[F], classes: usize) -> Vec<[F; 3]> {
    let mut shares = vec![[F::zero(); 3]; classes];
    for (p, t) in p.chunks_exact(classes).zip(t) {
        let class = class_of(*t);
        shares[class][0] += p[class];
        shares[class][2] += F::one();
        for (share, &p) in shares.iter_mut().zip(p) {
            share[1] += p;
        }
    }
    shares
}

impl<F: Scalar> Loss<F> for CrossentropyAndDice {
    fn values(&self, p: View<'_, F>, t: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        let (classes, n) = (p.last_axis(), t.len() / values.len().max(1));
        for ((value, p), t) in values.iter_mut().zip(p.chunks(n * classes)).zip(t.chunks(n)) {
            let likely = p.chunks(classes).zip(t).map(|(p, t)| p[class_of(*t)].max(F::of(LEAST)).ln());
            let shares = shares(p, t, classes);
            let shown = shares.iter().filter(|[_, _, t]| *t > F::zero());
            let dice: F = shown.clone().map(|&[i, p, t]| (i + i) / (p + t)).sum();
            *value = F::one() - likely.sum::<F>() / F::of(n as f64) - dice / F::of(shown.count() as f64);
        }
    }

    /// ∂v/∂p[i, c] = −[tᵢ = c] / (n·p[i, c]) − 2·([tᵢ = c]·(P_c + T_c) − I_c) / (|C|·(P_c + T_c)²) for c ∈ C.
    fn gradient(
        &self,
        p: View<'_, F>,
        t: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let (classes, n) = (p.last_axis(), t.len() / weights.len().max(1));
        let images = p.chunks(n * classes).zip(t.chunks(n)).zip(grad.chunks_mut(n * classes));
        for (((p, t), grad), &weight) in images.zip(weights) {
            let shares = shares(p, t, classes);
            let shown = F::of(shares.iter().filter(|[_, _, t]| *t > F::zero()).count() as f64);
            // What every pixel's probability of a class takes from its overlap, and what a right one brings.
            let slopes: Vec<[F; 2]> = shares
                .iter()
                .map(|&[i, p, t]| {
                    let scale = if t > F::zero() { F::of(2.0) * weight / (shown * (p + t)) } else { F::zero() };
                    [scale * i / (p + t), scale]
                })
                .collect();
            for ((p, t), grad) in p.chunks(classes).zip(t).zip(grad.chunks_mut(classes)) {
                let class = class_of(*t);
                for (grad, &[takes, _]) in grad.iter_mut().zip(&slopes) {
                    *grad = takes;
                }
                grad[class] -= slopes[class][1] + weight / (F::of(n as f64) * p[class].max(F::of(LEAST)));
            }
        }
    }

    /// One value an image.
    fn values_shape(&self, _: &[usize]) -> Vec<usize> {
        vec![]
    }

    /// A class for each pixel.
    fn target_shape(&self, prediction: &[usize]) -> gradus::Result<Vec<usize>> {
        Ok(prediction[..prediction.len() - 1].to_vec())
    }
}

/// The mean of intersection / union over the classes that are shown or predicted.
fn mean_iou(truth: &ArrayD<usize>, predicted: &ArrayD<usize>) -> gradus::Result<f64> {
    jaccard_score(&truth.flatten(), &predicted.flatten(), &Classification::new().average(Average::Macro))
}

/// Intersection / union of all digits as one class.
fn foreground_iou(truth: &ArrayD<usize>, predicted: &ArrayD<usize>) -> gradus::Result<f64> {
    let foreground = |classes: &ArrayD<usize>| classes.iter().map(|&class| u8::from(class > 0)).collect::<Array1<_>>();
    jaccard_score(&foreground(truth), &foreground(predicted), &Classification::new())
}

/// The foreground IoU of the brightness above which it is best to take a pixel for a digit's: what needs no network.
fn best_level(scenes: &Array4<f32>, truth: &ArrayD<usize>) -> gradus::Result<f64> {
    (1..20).try_fold(0.0, |best: f64, level| {
        let predicted = scenes.mapv(|pixel| usize::from(pixel > level as f32 / 20.0)).into_dyn();
        Ok(best.max(foreground_iou(truth, &predicted)?))
    })
}

/// The classes of an image as colours, the ground black.
fn coloured(classes: &ArrayD<usize>, n: usize) -> Array3<u8> {
    const COLORS: [[u8; 3]; CLASSES] = [
        [0, 0, 0],
        [230, 25, 75],
        [60, 180, 75],
        [255, 225, 25],
        [0, 130, 200],
        [245, 130, 48],
        [145, 30, 180],
        [70, 240, 240],
        [240, 50, 230],
        [210, 245, 60],
        [250, 190, 212],
    ];
    Array3::from_shape_fn([SIDE, SIDE, 3], |(i, j, channel)| COLORS[classes[[n, i, j]]][channel])
}

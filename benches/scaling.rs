//! What the workloads would take on more cores than there are.
//!
//! `cargo bench --bench scaling -- [WORKLOAD …] [--batches 1,32,128,512]`. A step or prediction is done on one thread, each of
//! the pieces that threads could take timed by itself; these times are scheduled on 1 to 64 cores as the library's threads take
//! them, with what it costs here to begin and end a call. Efficiency is the time of one thread, work in one piece, divided by cores times
//! the scheduled time. What the account leaves out: cores that share caches and memory, and slow one another down. Beside it what
//! the cores that there are need.

// Times are small and positive.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod networks;

use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use gradus::account::{Stretch, fork_seconds, record};
use gradus::applications::Application;
use gradus::custom::*;
use networks::noise;

const CORES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const WORKLOADS: [&str; 10] =
    ["mlp_step", "cnn", "resnet", "rnn", "lstm", "gru", "lstm_text", "gan", "infer_resnet50", "infer_mobilenet"];

fn main() -> gradus::Result<()> {
    let (mut chosen, mut batches) = (Vec::new(), vec![1, 32, 128, 512]);
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--batches" => {
                let list = arguments.next().expect("--batches takes a list");
                batches = list.split(',').map(|batch| batch.parse().expect("a number of rows")).collect();
            }
            name => chosen.push(WORKLOADS.into_iter().find(|known| *known == name).expect("a workload")),
        }
    }
    if chosen.is_empty() {
        chosen = WORKLOADS.to_vec();
    }
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    let fork = fork_seconds(there.max(2))?;
    println!("to begin and end a call on {} threads: {:.1} µs", there.max(2), fork * 1e6);
    println!(
        "| workload | batch | one thread, ms | in pieces | longest path | measured, {there} threads | efficiency at 2 | 4 | 8 | 16 | 32 | 64 cores |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for name in chosen {
        for &batch in &batches {
            row(name, batch, there, fork)?;
        }
    }
    Ok(())
}

/// A step or a prediction, to be done again and again on so many threads.
fn workload(name: &str, batch: usize, threads: usize) -> gradus::Result<Box<dyn FnMut()>> {
    let step = |mut model: Model, shape: &[usize], one_hot: bool| -> gradus::Result<Box<dyn FnMut()>> {
        model.set_threads(threads)?;
        let x = noise(&[&[batch], shape].concat());
        let labels = Array1::from_iter((0..batch).map(|row| row % 10));
        let y = if one_hot {
            to_categorical(&labels, 10)?.into_dyn()
        } else {
            labels.mapv(|label| label as f32).into_dyn()
        };
        Ok(Box::new(move || {
            model.train_on_batch(&x, &y).expect("it fits");
        }))
    };
    let image = |application: Application| -> gradus::Result<Box<dyn FnMut()>> {
        let mut model = application.build()?;
        model.set_threads(threads)?;
        let x = noise(&[batch, 224, 224, 3]).into_raw_vec_and_offset().0;
        let mut y = vec![0.0; batch * model.output_shape(0)[0]];
        let mut predictor = Predictor::owned(std::sync::Arc::new(model), batch);
        Ok(Box::new(move || predictor.run(&x, &mut y).expect("it fits")))
    };
    match name {
        "mlp_step" => step(networks::mnist()?, &[28, 28], true),
        "cnn" => step(networks::cnn()?, &[28, 28, 1], true),
        "resnet" => step(networks::resnet()?, &[32, 32, 3], true),
        "rnn" => step(networks::recurrent(RNN::new(128))?, &[64, 64], false),
        "lstm" => step(networks::recurrent(LSTM::new(128))?, &[64, 64], false),
        "gru" => step(networks::recurrent(GRU::new(128))?, &[64, 64], false),
        "lstm_text" => {
            let mut model = networks::text()?;
            model.set_threads(threads)?;
            let tokens = noise(&[batch, 80]).mapv(|x| (x * 20_000.0).floor().min(19_999.0));
            let y = Array2::from_shape_fn((batch, 1), |(row, _)| (row % 2) as f32);
            Ok(Box::new(move || {
                model.train_on_batch(&tokens, &y).expect("it fits");
            }))
        }
        "gan" => {
            let mut gan = networks::gan()?;
            gan.set_threads(threads)?;
            let real = noise(&[batch, 28, 28, 1]).mapv(|x| 2.0 * x - 1.0);
            Ok(Box::new(move || {
                gan.train_on_batch(&real).expect("it fits");
            }))
        }
        "infer_resnet50" => image(Application::resnet50()),
        _ => image(Application::mobilenet_v2()),
    }
}

fn row(name: &str, batch: usize, there: usize, fork: f64) -> gradus::Result<()> {
    let alone = least_seconds(&mut *workload(name, batch, 1)?);
    let measured = least_seconds(&mut *workload(name, batch, there)?);
    // As many workers as a prediction can use.
    let mut call = workload(name, batch, CORES[CORES.len() - 1])?;
    (0..3).for_each(|_| call());
    let records: Vec<Vec<Stretch>> = (0..repetitions(alone)).map(|_| record(&mut *call)).collect();
    let least = |cores: usize, fork: f64| {
        records.iter().map(|stretches| schedule(stretches, cores, fork)).fold(f64::INFINITY, f64::min)
    };
    let endless = least(4096, 0.0);
    print!(
        "| `{name}` | {batch} | {:.3} | {:.3} | {:.3} | {:.3} |",
        alone * 1e3,
        least(1, 0.0) * 1e3,
        endless * 1e3,
        measured * 1e3
    );
    for cores in &CORES[1..] {
        print!(" {:.2} |", alone / (least(*cores, fork) * *cores as f64));
    }
    println!();
    Ok(())
}

fn repetitions(seconds: f64) -> usize {
    (1.0 / seconds.max(1e-6)).clamp(3.0, 50.0) as usize
}

/// The least time of a call.
fn least_seconds(call: &mut dyn FnMut()) -> f64 {
    let mut time = || {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    };
    time();
    let first = time();
    (0..repetitions(first)).map(|_| time()).fold(first, f64::min)
}

/// The seconds that recorded work takes so many cores, where beginning and ending a call takes `fork`.
fn schedule(work: &[Stretch], cores: usize, fork: f64) -> f64 {
    work.iter()
        .map(|stretch| match stretch {
            Stretch::Alone(seconds) => *seconds,
            Stretch::Fork(pieces) if cores == 1 => pieces.iter().map(|piece| schedule(piece, 1, 0.0)).sum(),
            Stretch::Fork(pieces) => fork + Call::new(pieces, cores, fork).run(),
        })
        .sum()
}

/// A call from outside: cores take its pieces, and parts of pieces where no whole ones are left.
struct Call<'a> {
    pieces: VecDeque<&'a [Stretch]>,
    fork: f64,
    cores: Vec<Core<'a>>,
    /// For each core, parts of its piece that nobody has taken, and how many are not done.
    parts: Vec<(VecDeque<f64>, usize)>,
    /// When which core has done what it did: nanoseconds, the earliest first.
    events: BinaryHeap<std::cmp::Reverse<(u64, usize)>>,
}

#[derive(Clone, Default)]
struct Core<'a> {
    /// What is left of its piece.
    piece: &'a [Stretch],
    /// Whose part it is at.
    helps: Option<usize>,
    idle: bool,
}

impl<'a> Call<'a> {
    fn new(pieces: &'a [Vec<Stretch>], cores: usize, fork: f64) -> Self {
        let cores = cores.min(64 * pieces.len());
        Self {
            pieces: pieces.iter().map(Vec::as_slice).collect(),
            fork,
            cores: vec![Core::default(); cores],
            parts: vec![(VecDeque::new(), 0); cores],
            events: (0..cores).map(|core| std::cmp::Reverse((0, core))).collect(),
        }
    }

    fn run(mut self) -> f64 {
        let mut last = 0;
        while let Some(std::cmp::Reverse((now, core))) = self.events.pop() {
            last = now;
            if let Some(owner) = self.cores[core].helps.take() {
                self.parts[owner].1 -= 1;
                if self.parts[owner].1 == 0 && owner != core && self.cores[owner].idle {
                    self.wake(owner, now);
                }
            }
            self.go_on(core, now);
        }
        last as f64 * 1e-9
    }

    fn wake(&mut self, core: usize, now: u64) {
        self.cores[core].idle = false;
        self.events.push(std::cmp::Reverse((now, core)));
    }

    fn busy(&mut self, core: usize, now: u64, seconds: f64) {
        self.events.push(std::cmp::Reverse((now + (seconds * 1e9) as u64, core)));
    }

    /// Gives a core what it does next.
    fn go_on(&mut self, core: usize, now: u64) {
        // Parts of its own piece come first; while others are at some it waits.
        if let Some(seconds) = self.parts[core].0.pop_front() {
            self.cores[core].helps = Some(core);
            return self.busy(core, now, seconds);
        }
        if self.parts[core].1 > 0 {
            self.cores[core].idle = true;
            return;
        }
        if self.cores[core].piece.is_empty() {
            self.cores[core].piece = self.pieces.pop_front().unwrap_or_default();
        }
        match self.cores[core].piece.split_first() {
            Some((Stretch::Alone(seconds), rest)) => {
                self.cores[core].piece = rest;
                self.busy(core, now, *seconds);
            }
            Some((Stretch::Fork(parts), rest)) => {
                self.cores[core].piece = rest;
                self.parts[core] = (parts.iter().map(|part| schedule(part, 1, 0.0)).collect(), parts.len());
                self.busy(core, now, self.fork);
                let idle = |helper: &usize| self.cores[*helper].idle && self.parts[*helper].1 == 0;
                for helper in (0..self.cores.len()).filter(idle).collect::<Vec<_>>() {
                    self.wake(helper, now);
                }
            }
            None => match (0..self.cores.len()).find(|&owner| !self.parts[owner].0.is_empty()) {
                Some(owner) => {
                    let seconds = self.parts[owner].0.pop_front().expect("it has some");
                    self.cores[core].helps = Some(owner);
                    self.busy(core, now, seconds);
                }
                None => self.cores[core].idle = true,
            },
        }
    }
}

//! All readers under mutated files for as long as it is told: `long SECONDS [READER …]`. What panics, takes too much memory
//! or time is kept in `found/`; at the end a line a reader.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use gradus_fuzz::dice::Dice;
use gradus_fuzz::targets::{TARGETS, Target};

#[path = "../../../tests/robust/readers/memory.rs"]
mod memory;

/// Accepted inputs are mutated further: so many of them are kept.
const KEPT: usize = 500;
const MOST_TIME: Duration = Duration::from_secs(10);
/// Larger inputs are not grown.
const MOST_LEN: usize = 1 << 16;

struct Under {
    target: &'static Target,
    pool: Vec<Vec<u8>>,
    inputs: u64,
    accepted: u64,
    most_bytes: usize,
    slowest: Duration,
    found: usize,
}

impl Under {
    fn step(&mut self, folder: &Path) {
        let mut dice = Dice::new(self.inputs);
        let mut bytes = dice.choose(&self.pool).clone();
        (self.target.mutate)(&mut bytes, &self.pool, &mut dice);
        let start = Instant::now();
        let (result, peak) = memory::peak_of(|| catch_unwind(AssertUnwindSafe(|| (self.target.run)(&bytes))));
        let time = start.elapsed();
        let (inputs, name) = (self.inputs, self.target.name);
        let keep = |why: &str| {
            std::fs::create_dir_all(folder).expect("a folder for what is found");
            std::fs::write(folder.join(format!("{name}-{why}-{inputs}")), &bytes).expect("it can be written");
        };
        let accepted = result.as_ref().is_ok_and(|accepted| *accepted);
        for (bad, why) in
            [(result.is_err(), "panic"), (peak > self.target.most_bytes, "memory"), (time > MOST_TIME, "time")]
        {
            if bad {
                keep(why);
                self.found += 1;
            }
        }
        if peak > self.most_bytes || time > self.slowest {
            std::fs::create_dir_all(folder).expect("a folder for what is found");
            let why = if time > self.slowest { "slowest" } else { "largest" };
            std::fs::write(folder.join(format!("{name}-{why}")), &bytes).expect("it can be written");
        }
        (self.most_bytes, self.slowest) = (self.most_bytes.max(peak), self.slowest.max(time));
        (self.inputs, self.accepted) = (self.inputs + 1, self.accepted + u64::from(accepted));
        if accepted && bytes.len() < MOST_LEN {
            if self.pool.len() < KEPT {
                self.pool.push(bytes);
            } else {
                // The seeds stay.
                let place = KEPT / 2 + dice.below(KEPT / 2);
                self.pool[place] = bytes;
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3600);
    let names: Vec<String> = arguments.collect();
    let chosen: Vec<&'static Target> =
        TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    // Panics are reported with the inputs that they are kept with.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let each = Duration::from_secs_f64(seconds as f64 / chosen.len().max(1) as f64 * 2.0);
    let halves: Vec<Vec<&'static Target>> =
        (0..2).map(|half| chosen.iter().copied().skip(half).step_by(2).collect()).collect();
    let found = std::thread::scope(|scope| {
        let folder = &folder;
        let workers: Vec<_> = halves
            .into_iter()
            .map(|targets| scope.spawn(move || targets.into_iter().map(|target| try_out(target, each, folder)).sum()))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(1)).sum::<usize>()
    });
    std::process::exit(i32::from(found > 0));
}

/// Tries one reader for so long; how many inputs were bad.
fn try_out(target: &'static Target, time: Duration, folder: &Path) -> usize {
    let pool = (target.seeds)();
    let mut under = Under { target, pool, inputs: 0, accepted: 0, most_bytes: 0, slowest: Duration::ZERO, found: 0 };
    let began = Instant::now();
    while began.elapsed() < time {
        under.step(folder);
    }
    let Under { inputs, accepted, most_bytes, slowest, found, .. } = under;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "{:16} {inputs:10} inputs, {accepted:9} accepted, at most {:7.1} MB, slowest {slowest:9.1?}, {found} found",
        target.name,
        most_bytes as f64 / 1e6
    );
    found
}

//! Every reader, on files that were right and have been made wrong: a value or an error, no panic, little memory, little
//! time. `fuzz/long.sh` does the same for hours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::memory::peak_of;
use super::targets::{TARGETS, Target};

/// For each reader so many inputs, or as many as go into this time on a slow machine.
const INPUTS: u64 = 4000;
const TIME: Duration = Duration::from_secs(3);
/// No input may take longer: several thousand times what most take.
const MOST_TIME: Duration = Duration::from_secs(4);

fn try_target(target: &Target) {
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        assert!((target.run)(seed), "{}: seed {number} is read", target.name);
    }
    let (began, mut accepted, mut inputs) = (Instant::now(), 0, 0);
    let (mut most_bytes, mut slowest) = (0, Duration::ZERO);
    while inputs < INPUTS && began.elapsed() < TIME {
        let mut dice = Dice::new(inputs);
        let mut bytes = dice.choose(&seeds).clone();
        (target.mutate)(&mut bytes, &seeds, &mut dice);
        let start = Instant::now();
        let (result, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))));
        let time = start.elapsed();
        let input = || format!("{}, input {inputs} of {} bytes", target.name, bytes.len());
        let Ok(was_accepted) = result else {
            let path = std::env::temp_dir().join(format!("gradus-{}-{inputs}", target.name));
            std::fs::write(&path, &bytes).unwrap();
            panic!("{} panicked; it is in {}", input(), path.display());
        };
        accepted += u64::from(was_accepted);
        assert!(peak <= target.most_bytes, "{} takes {peak} bytes of memory", input());
        assert!(time <= MOST_TIME, "{} takes {time:?}", input());
        (most_bytes, slowest) = (most_bytes.max(peak), slowest.max(time));
        inputs += 1;
    }
    println!(
        "{:16} {inputs:5} inputs, {accepted:4} accepted; at most {:.1} MB and {slowest:?}",
        target.name,
        most_bytes as f64 / 1e6
    );
}

#[test]
fn readers_give_a_value_or_an_error() {
    std::thread::scope(|scope| {
        let readers: Vec<_> = [0, 1]
            .map(|half| scope.spawn(move || TARGETS.iter().skip(half).step_by(2).for_each(try_target)))
            .into_iter()
            .collect();
        for reader in readers {
            reader.join().expect("no reader panics");
        }
    });
}

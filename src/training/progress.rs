//! What a training shows while it runs.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::history::Logs;

/// The progress of one epoch: a bar on a terminal, one line at its end elsewhere.
pub(crate) struct Progress {
    #[cfg_attr(not(feature = "progress"), allow(dead_code))]
    shown: Shown,
    /// How many steps have been made.
    steps: usize,
    /// When it began; none where nothing is shown, as WebAssembly has no clock.
    start: Option<Instant>,
}

enum Shown {
    Nothing,
    Line,
    #[cfg(feature = "progress")]
    Bar {
        bar: indicatif::ProgressBar,
        drawn: Instant,
    },
}

/// Metrics are worked out no more often than this for the bar.
#[cfg(feature = "progress")]
const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// Of an epoch of `steps` steps; none if nobody knows how many there will be.
    pub fn new(verbose: u8, epoch: usize, epochs: usize, steps: impl Into<Option<usize>>) -> Self {
        let shown = match verbose {
            0 => Shown::Nothing,
            1 if std::io::stdout().is_terminal() => Self::bar(steps.into()),
            _ => Shown::Line,
        };
        if !matches!(shown, Shown::Nothing) {
            println!("Epoch {}/{epochs}", epoch + 1);
        }
        let start = (!matches!(shown, Shown::Nothing)).then(Instant::now);
        Self { shown, steps: 0, start }
    }

    #[cfg(feature = "progress")]
    fn bar(steps: Option<usize>) -> Shown {
        let template = match steps {
            Some(_) => "{pos}/{len} {bar:30.green/white.dim} {eta} {per_sec} - {msg}",
            None => "{pos} {spinner} {elapsed} {per_sec} - {msg}",
        };
        Shown::Bar { bar: bar(steps, template), drawn: Instant::now() }
    }

    #[cfg(not(feature = "progress"))]
    fn bar(_: Option<usize>) -> Shown {
        Shown::Line
    }

    /// After `step` steps, with the metrics as they stand.
    #[cfg_attr(not(feature = "progress"), allow(unused_variables))]
    pub fn step(&mut self, step: usize, logs: impl FnOnce() -> Logs) {
        self.steps = step;
        #[cfg(feature = "progress")]
        if let Shown::Bar { bar, drawn } = &mut self.shown
            && drawn.elapsed() >= EVERY
        {
            *drawn = Instant::now();
            bar.set_message(logs().to_string());
            bar.set_position(step as u64);
        }
    }

    /// At the end of the epoch.
    pub fn finish(self, logs: &Logs) {
        #[cfg(feature = "progress")]
        if let Shown::Bar { bar, .. } = &self.shown {
            bar.finish_and_clear();
        }
        if let Some(start) = self.start {
            let (steps, elapsed) = (self.steps, start.elapsed());
            let each = elapsed / u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
            println!("{steps}/{steps} - {} - {}/step - {logs}", time(elapsed), time(each));
        }
    }
}

/// A bar on standard output, drawn as the template says.
#[cfg(feature = "progress")]
pub(crate) fn bar(total: Option<usize>, template: &str) -> indicatif::ProgressBar {
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let total = total.map(|steps| steps as u64);
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stdout()).with_style(style.progress_chars("━╸━"))
}

/// 1.3s, 26ms, 310µs
fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.1}s")
    } else if seconds >= 1e-3 {
        format!("{:.0}ms", seconds * 1e3)
    } else {
        format!("{:.0}µs", seconds * 1e6)
    }
}

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
    /// How many there will be, if somebody knows.
    #[cfg_attr(not(feature = "progress"), allow(dead_code))]
    total: Option<usize>,
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

/// The bar is drawn no more often than this.
#[cfg(feature = "progress")]
const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// Of an epoch of `steps` steps; none if nobody knows how many there will be.
    pub fn new(verbose: u8, epoch: usize, epochs: usize, steps: impl Into<Option<usize>>) -> Self {
        let shown = match verbose {
            0 => Shown::Nothing,
            1 if std::io::stdout().is_terminal() => Self::bar(),
            _ => Shown::Line,
        };
        if !matches!(shown, Shown::Nothing) {
            println!("Epoch {}/{epochs}", epoch + 1);
        }
        let start = (!matches!(shown, Shown::Nothing)).then(Instant::now);
        Self { shown, steps: 0, total: steps.into(), start }
    }

    #[cfg(feature = "progress")]
    fn bar() -> Shown {
        Shown::Bar { bar: bar(None, "{msg}"), drawn: Instant::now() }
    }

    #[cfg(not(feature = "progress"))]
    fn bar() -> Shown {
        Shown::Line
    }

    /// After `step` steps, with the metrics as they stand.
    #[cfg_attr(not(feature = "progress"), allow(unused_variables))]
    pub fn step(&mut self, step: usize, logs: impl FnOnce() -> Logs) {
        self.steps = step;
        #[cfg(feature = "progress")]
        if let Shown::Bar { bar, drawn } = &mut self.shown
            && drawn.elapsed() >= EVERY
            && let Some(start) = self.start
        {
            *drawn = Instant::now();
            let line = BarLine::new(step, self.total, start.elapsed(), &logs().to_string(), width());
            let (done, open) =
                (console::style("━".repeat(line.done)).green(), console::style("━".repeat(line.open)).dim());
            bar.set_message(format!("{}{done}{open}{}", line.before, line.behind));
        }
    }

    /// At the end of the epoch.
    pub fn finish(self, logs: &Logs) {
        #[cfg(feature = "progress")]
        let width = if let Shown::Bar { bar, .. } = &self.shown {
            bar.finish_and_clear();
            width()
        } else {
            usize::MAX
        };
        #[cfg(not(feature = "progress"))]
        let width = usize::MAX;
        if let Some(start) = self.start {
            println!("{}", last_line(self.steps, start.elapsed(), &logs.to_string(), width));
        }
    }
}

/// The parts of the line that shows a running epoch: `50/422 ━━━━━━━━━━ ETA 3s 8ms/step - accuracy: 0.9 - loss: 0.3`. It is never
/// wider than the terminal: metrics are left out from the right, then the bar is shortened, then the times go.
#[cfg_attr(not(feature = "progress"), allow(dead_code))]
#[derive(Debug, PartialEq)]
struct BarLine {
    before: String,
    /// Signs of the bar that stand for steps that have been made, and for those to come.
    done: usize,
    open: usize,
    behind: String,
}

#[cfg_attr(not(feature = "progress"), allow(dead_code))]
impl BarLine {
    fn new(step: usize, total: Option<usize>, elapsed: Duration, logs: &str, width: usize) -> Self {
        /// As in Keras.
        const BAR: usize = 20;
        // The last column stays empty: some terminals begin a line when it is written.
        let room = width.saturating_sub(1);
        let each = elapsed / u32::try_from(step.max(1)).unwrap_or(u32::MAX);
        let (before, times) = match total {
            Some(total) => {
                let left = u32::try_from(total.saturating_sub(step)).unwrap_or(u32::MAX);
                (format!("{step}/{total} "), format!(" ETA {} {}/step", time(each.saturating_mul(left)), time(each)))
            }
            None => (format!("{step} "), format!("{} {}/step", time(elapsed), time(each))),
        };
        let bar = if total.is_some() { BAR } else { 0 };
        let fixed = before.chars().count() + times.chars().count();
        let (bar, times) = match room.checked_sub(fixed) {
            Some(left) => (bar.min(left), times),
            None => (bar.min(room.saturating_sub(before.chars().count())), String::new()),
        };
        let used = before.chars().count() + bar + times.chars().count();
        let behind = with_metrics(times, logs, room.saturating_sub(used));
        let done = total.map_or(0, |total| bar * step.min(total) / total.max(1));
        let before = before.chars().take(room).collect();
        Self { before, done, open: bar - done, behind }
    }
}

/// The line at the end of an epoch: `422/422 - 3.4s/epoch - 8ms/step - accuracy: 0.9 - loss: 0.3`.
fn last_line(steps: usize, elapsed: Duration, logs: &str, width: usize) -> String {
    let each = elapsed / u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
    let head = format!("{steps}/{steps} - {}/epoch - {}/step", time(elapsed), time(each));
    let room = width.saturating_sub(1).saturating_sub(head.chars().count());
    with_metrics(head, logs, room)
}

/// As many of the metrics, ` - name: value` each, as there is room for.
fn with_metrics(mut line: String, logs: &str, mut room: usize) -> String {
    for metric in logs.split(" - ").filter(|metric| !metric.is_empty()) {
        let metric = format!(" - {metric}");
        match room.checked_sub(metric.chars().count()) {
            Some(left) => room = left,
            None => break,
        }
        line.push_str(&metric);
    }
    line
}

/// Columns of the terminal, if it tells.
#[cfg(feature = "progress")]
fn width() -> usize {
    match console::Term::stdout().size().1 {
        0 => 80,
        columns => columns.into(),
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

/// 2h05m, 3m07s, 1.3s, 26ms, 310µs
fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let whole = elapsed.as_secs();
    if whole >= 3600 {
        format!("{}h{:02}m", whole / 3600, whole / 60 % 60)
    } else if whole >= 60 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else if seconds >= 1.0 {
        format!("{seconds:.1}s")
    } else if seconds >= 1e-3 {
        format!("{:.0}ms", seconds * 1e3)
    } else {
        format!("{:.0}µs", seconds * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::{BarLine, last_line, time};
    use std::time::Duration;

    const LOGS: &str = "accuracy: 0.9123 - loss: 0.3012 - val_accuracy: 0.9034 - val_loss: 0.3456";

    fn shown(step: usize, total: Option<usize>, width: usize) -> String {
        let line = BarLine::new(step, total, Duration::from_millis(400), LOGS, width);
        let text = format!("{}{}{}{}", line.before, "#".repeat(line.done), "-".repeat(line.open), line.behind);
        assert!(text.chars().count() < width.max(1), "{text}");
        text
    }

    #[test]
    fn a_line_is_never_wider_than_the_terminal() {
        assert_eq!(shown(50, Some(422), 200), format!("50/422 ##------------------ ETA 3.0s 8ms/step - {LOGS}"));
        assert_eq!(
            shown(50, Some(422), 80),
            "50/422 ##------------------ ETA 3.0s 8ms/step - accuracy: 0.9123 - loss: 0.3012"
        );
        assert_eq!(shown(50, Some(422), 60), "50/422 ##------------------ ETA 3.0s 8ms/step");
        assert_eq!(shown(50, Some(422), 40), "50/422 #------------- ETA 3.0s 8ms/step");
        assert_eq!(shown(50, Some(422), 20), "50/422 #-----------");
        assert_eq!(shown(50, Some(422), 5), "50/4");
        assert_eq!(shown(50, None, 60), "50 400ms 8ms/step - accuracy: 0.9123 - loss: 0.3012");
        assert_eq!(shown(422, Some(422), 60).matches('#').count(), 20);
        for width in 1..120 {
            shown(7, Some(9), width);
            shown(1_000_000, Some(1_000_000), width);
            shown(3, None, width);
        }
        let last = |width| last_line(422, Duration::from_millis(3376), LOGS, width);
        assert_eq!(last(usize::MAX), format!("422/422 - 3.4s/epoch - 8ms/step - {LOGS}"));
        assert_eq!(last(80), "422/422 - 3.4s/epoch - 8ms/step - accuracy: 0.9123 - loss: 0.3012");
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        let of = |seconds: f64| time(Duration::from_secs_f64(seconds));
        assert_eq!([of(3.1e-4), of(0.026), of(1.31), of(59.96)], ["310µs", "26ms", "1.3s", "60.0s"]);
        assert_eq!([of(187.0), of(7501.0)], ["3m07s", "2h05m"]);
    }
}

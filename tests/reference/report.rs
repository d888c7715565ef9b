//! What became of cases, by their kinds.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::case::{Case, Outcome};

#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

#[derive(Clone, Default)]
pub struct Report {
    tallies: BTreeMap<String, Tally>,
    /// A line for every case that failed.
    failed: Vec<String>,
    /// A line for every case that asks for what there is not.
    unsupported: Vec<String>,
}

impl Report {
    pub const fn new() -> Self {
        Self { tallies: BTreeMap::new(), failed: Vec::new(), unsupported: Vec::new() }
    }

    pub fn enter(&mut self, case: &Case, outcome: Outcome) {
        let tally = self.tallies.entry(case.kind.clone()).or_default();
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::Failed(what) => {
                tally.failed += 1;
                self.failed.push(format!("failed       {} {}: {what}", case.kind, case.id));
            }
            Outcome::Unsupported(what) => {
                tally.unsupported += 1;
                self.unsupported.push(format!("unsupported  {} {}: {what}", case.kind, case.id));
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        for (kind, more) in other.tallies {
            self.tallies.entry(kind).or_default().add(more);
        }
        self.failed.extend(other.failed);
        self.unsupported.extend(other.unsupported);
    }

    fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.tallies.values().for_each(|&tally| total.add(tally));
        total
    }

    /// How many cases there were.
    pub fn count(&self) -> usize {
        let Tally { passed, failed, unsupported } = self.total();
        passed + failed + unsupported
    }

    /// A line for every case that did not pass.
    pub fn problems(&self) -> String {
        self.failed.iter().chain(&self.unsupported).fold(String::new(), |text, line| text + line + "\n")
    }

    /// A line a kind, and the total.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let total = self.total();
        let kinds = self.tallies.iter().map(|(kind, tally)| (kind.as_str(), tally));
        for (name, Tally { passed, failed, unsupported }) in kinds.chain([("total", &total)]) {
            writeln!(text, "{name}  {passed} passed  {failed} failed  {unsupported} unsupported").unwrap();
        }
        text
    }

    /// Fails the test if a case failed, or is unsupported where all must be supported.
    pub fn check(&self, strict: bool) {
        let Tally { failed, unsupported, .. } = self.total();
        assert_eq!(failed, 0, "cases failed");
        assert!(!strict || unsupported == 0, "{unsupported} cases are not supported");
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unsupported += other.unsupported;
    }
}

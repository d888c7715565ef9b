//! Checks.
/// to come
#[derive(Debug)]
pub struct GradientReport;
impl std::fmt::Display for GradientReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "")
    }
}

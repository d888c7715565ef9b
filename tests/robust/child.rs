//! This program again, as a process of its own that does one thing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that tells a process that it is a child.
const VARIABLE: &str = "GRADUS_TEST_CHILD";

/// What a child is told; none in the process of the tests. A test that is the body of a child begins with this, and returns
/// where it is none.
pub fn told() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// A command that runs the test `body` as a child and tells it `what`; `before` are commands of the shell that run first,
/// such as limits.
pub fn command(body: &str, what: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", body, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, what)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A folder of a test's own, empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gradus-robust-{}-{name}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The names of the files in a folder, in order.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

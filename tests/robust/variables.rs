//! Variables of the environment that make no sense are errors where a model is built.

use gradus::prelude::*;

use super::child;

/// The body of a child: what comes of building and running a model.
#[test]
fn a_model_in_a_child() {
    if child::told().is_none() {
        return;
    }
    let model = Sequential::new().input([2]).add(Dense::new(1)).build();
    let run = model.and_then(|model| model.predict(&Array2::<f32>::zeros((100, 2))));
    println!("answer: {}", run.map_or_else(|error| error.to_string(), |y| format!("{} rows", y.len())));
}

#[test]
fn numbers_of_threads_and_instructions() {
    let answer = |variable: &str, value: &str| {
        let mut command = child::command("variables::a_model_in_a_child", "", "");
        let output = command.env(variable, value).output().unwrap();
        assert!(output.status.success(), "{variable}={value}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().find_map(|line| Some(line.split_once("answer: ")?.1.to_owned())).unwrap()
    };
    let threads = "GRADUS_NUM_THREADS";
    for good in ["", "1", "3", " 2 "] {
        assert_eq!(answer(threads, good), "100 rows");
    }
    for large in ["1025", "1000000", "18446744073709551615"] {
        assert_eq!(answer(threads, large), format!("`{threads}` must be at most 1024, got {large}"));
    }
    assert_eq!(answer(threads, "0"), format!("`{threads}` must be at least 1, got 0"));
    for bad in ["-1", "many", "18446744073709551616"] {
        assert_eq!(answer(threads, bad), format!("`{threads}` must be a number from 1 to 1024, got {bad}"));
    }
    assert_eq!(answer("GRADUS_INSTRUCTIONS", "portable"), "100 rows");
    assert!(answer("GRADUS_INSTRUCTIONS", "neon").starts_with("`GRADUS_INSTRUCTIONS` must be one of portable"));
}

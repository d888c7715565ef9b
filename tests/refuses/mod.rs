//! What several programs of tests ask of a refusal.

/// The message of an error, which must hold all of `parts`.
#[track_caller]
pub fn refuses<T>(result: gradus::Result<T>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted; expected an error with {parts:?}") };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} does not hold {part:?}");
    }
}

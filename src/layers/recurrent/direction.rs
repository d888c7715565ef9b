//! Which way sequences are taken, and how large their outputs are.

/// Which way sequences are taken, and what becomes of the outputs.
#[derive(Clone, Copy, Debug)]
pub struct Direction {
    /// Whether the last timestep comes first.
    pub backwards: bool,
    /// Whether all outputs are given, not only the last.
    pub sequences: bool,
    /// Whether outputs are zeros at masked steps.
    pub zero_masked: bool,
}

/// How large an output is.
#[derive(Clone, Copy, Debug)]
pub struct OutputSize {
    /// Values of a row.
    pub len: usize,
    /// The size of its last axis.
    pub last_axis: usize,
}

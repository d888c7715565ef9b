//! Data before it meets a model: files as others write and read them, steps of preparation, splits, texts. Beside the
//! modules lie the files that they read.

#[cfg(feature = "audio")]
mod audio;
#[cfg(feature = "csv")]
mod columns;
#[cfg(feature = "datasets")]
mod datasets;
#[cfg(feature = "datasets")]
mod idx;
#[cfg(feature = "images")]
mod images;
mod labels;
#[cfg(feature = "npz")]
mod npy;
mod preprocessing;
mod random;
#[path = "../refuses/mod.rs"]
mod refuses;
mod safetensors;
mod sizes;
mod splits;
#[cfg(feature = "csv")]
mod table;
mod text;
#[cfg(feature = "torch")]
mod torch;

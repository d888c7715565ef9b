//! Layers: behaviour that neither the check of all layers nor the reference cases see. One program, so that the executor is
//! compiled once for all.

mod activation;
mod cells;
mod constraints;
mod conv;
mod dropout;
mod initializers;
mod merge;
mod recurrent;
mod regularizers;
mod spatial;

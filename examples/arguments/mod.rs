//! What every example takes on its command line.

/// The options of an example.
pub struct Arguments {
    /// The seed of weights and shuffling.
    pub seed: u64,
    /// How many epochs to train.
    pub epochs: usize,
    /// How many threads to compute on; none: all.
    pub threads: Option<usize>,
    /// Whether to run as briefly as shows that the example works.
    pub smoke: bool,
}

impl Arguments {
    /// Reads `--seed N --epochs N --threads N --smoke`; a smoke run is one epoch.
    pub fn read(epochs: usize) -> Self {
        let mut arguments = Self { seed: 0, epochs, threads: None, smoke: false };
        if let Err(problem) = arguments.parse() {
            eprintln!("{problem}\nusage: [--seed N] [--epochs N] [--threads N] [--smoke]");
            std::process::exit(2);
        }
        arguments
    }

    fn parse(&mut self) -> Result<(), lexopt::Error> {
        use lexopt::prelude::*;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => self.seed = parser.value()?.parse()?,
                Long("epochs") => self.epochs = parser.value()?.parse()?,
                Long("threads") => self.threads = Some(parser.value()?.parse()?),
                Long("smoke") => (self.smoke, self.epochs) = (true, 1),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(())
    }

    /// Sets the number of threads of a model, where one was asked for.
    pub fn set_threads(&self, model: &mut gradus::Model) -> gradus::Result<()> {
        self.threads.map_or(Ok(()), |threads| model.set_threads(threads))
    }
}

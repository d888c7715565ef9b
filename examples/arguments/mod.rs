//! What every example takes on its command line.

use std::path::PathBuf;

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
    /// The folder that pictures go to.
    pub output: PathBuf,
}

impl Arguments {
    /// Reads `--seed N --epochs N --threads N --output FOLDER --smoke`; a smoke run is one epoch.
    #[allow(dead_code)] // some examples have a flag of their own
    pub fn read(epochs: usize) -> Self {
        Self::read_with(None, [epochs; 2]).1
    }

    /// As [`read`](Self::read), for an example with a flag of its own: whether it was given, and the rest. `epochs` are
    /// those without it and with it.
    pub fn read_with(flag: Option<&str>, epochs: [usize; 2]) -> (bool, Self) {
        let given = flag.is_some_and(|flag| std::env::args().any(|argument| argument.strip_prefix("--") == Some(flag)));
        let mut arguments = Self {
            seed: 0,
            epochs: epochs[usize::from(given)],
            threads: None,
            smoke: false,
            output: "target/pictures".into(),
        };
        if let Err(problem) = arguments.parse(flag) {
            let flag = flag.map(|flag| format!("[--{flag}] ")).unwrap_or_default();
            eprintln!("{problem}\nusage: {flag}[--seed N] [--epochs N] [--threads N] [--output FOLDER] [--smoke]");
            std::process::exit(2);
        }
        (given, arguments)
    }

    fn parse(&mut self, flag: Option<&str>) -> Result<(), lexopt::Error> {
        use lexopt::prelude::*;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => self.seed = parser.value()?.parse()?,
                Long("epochs") => self.epochs = parser.value()?.parse()?,
                Long("threads") => self.threads = Some(parser.value()?.parse()?),
                Long("output") => self.output = parser.value()?.into(),
                Long("smoke") => (self.smoke, self.epochs) = (true, 1),
                Long(name) if Some(name) == flag => (),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(())
    }

    /// Where a picture of this name goes, in the folder for them, which is made if need be; says where it is.
    #[allow(dead_code)] // few examples draw
    pub fn picture(&self, name: &str) -> gradus::Result<PathBuf> {
        let path = self.output.join(name);
        let folder = path.parent().unwrap_or(&self.output);
        std::fs::create_dir_all(folder).map_err(|source| gradus::Error::Io { path: folder.into(), source })?;
        println!("Picture: {}", path.display());
        Ok(path)
    }

    /// Sets the number of threads of a model, where one was asked for.
    #[allow(dead_code)] // of a model, not of a game
    pub fn set_threads(&self, model: &mut gradus::Model) -> gradus::Result<()> {
        self.threads.map_or(Ok(()), |threads| model.set_threads(threads))
    }
}

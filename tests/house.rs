//! The floors of the house: a file uses what stands below it, never what stands above, and no files use each other in a
//! circle.
//!
//! Left out: `lib.rs`, the lines of a module file that give out what its own files hold (`pub use dense::Dense`), what a
//! macro writes (it counts where it is expanded), and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up; what stands side by side on a floor may not use each other.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["memory"],
    &["formats", "ids"],
    &["scalar", "config", "parallel"],
    &["kernels"],
    &["tensor", "random"],
    &["initializers", "regularizers", "constraints", "activations", "schedules"],
    &["layers"],
    &["engine"],
    &["losses"],
    &["metrics", "optimizers"],
    &["data"],
    &["models"],
    &["training"],
    &["applications", "gan", "tuning", "check"],
    &["plots"],
];

/// The modules of the crate: by path (`layers::dense`) the file, and the names that it gives out for others.
struct House {
    files: BTreeMap<Vec<String>, PathBuf>,
    /// For each module, names that it re-exports, and where they come from.
    exports: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
}

/// One file uses another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: Vec<String>,
    to: Vec<String>,
}

/// A source file without comments, strings and tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let tests = ["\nmod tests {", "\npub(crate) mod tests {"].iter().filter_map(|start| text.find(start)).min();
    let text = &text[..tests.unwrap_or(text.len())];
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn words(path: &str) -> Vec<String> {
    path.split("::").map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The paths of a use tree: `a::{b, c::{d, e as f}}` gives a::b, a::c::d, a::c::e, each with the name it goes by.
fn flatten(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let before = words(&tree[..open]);
        let inside = &tree[open + 1..tree.rfind('}').expect("a closing brace")];
        let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
        for (at, letter) in inside.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&inside[start..at]);
                    start = at + 1;
                }
                _ => (),
            }
        }
        parts.push(&inside[start..]);
        let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
        return parts
            .flat_map(flatten)
            .map(|(path, name)| {
                let path: Vec<String> = before.iter().cloned().chain(path).filter(|word| word != "self").collect();
                (path, name)
            })
            .collect();
    }
    let (path, name) = match tree.split_once(" as ") {
        Some((path, name)) => (words(path), Some(name.trim().to_owned())),
        None => (words(tree), None),
    };
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    vec![(path, name)]
}

/// Every `use` of a file: whether it gives the names out, and its tree.
fn uses(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let (statement, public) = match line.trim_start().split_once("use ") {
            Some(("", _)) => (true, false),
            Some((before, _)) => (before.starts_with("pub") && before.split_whitespace().count() == 1, true),
            None => (false, false),
        };
        if statement {
            let tree = code[at..].split_once("use ").map_or("", |(_, tree)| tree);
            found.push((public, tree.split(';').next().unwrap_or_default().to_owned()));
        }
        at += line.len();
    }
    found
}

impl House {
    fn read(src: &Path) -> Self {
        let mut house = Self { files: BTreeMap::new(), exports: BTreeMap::new() };
        house.add(src, &mut Vec::new());
        for (module, file) in house.files.clone() {
            house.read_exports(&module, &file);
        }
        house.read_exports(&Vec::new(), &src.join("lib.rs"));
        house
    }

    fn add(&mut self, folder: &Path, module: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let stem = entry.file_stem().expect("a name").to_string_lossy().into_owned();
            if entry.is_dir() {
                module.push(stem);
                self.add(&entry, module);
                module.pop();
            } else if stem == "mod" {
                self.files.insert(module.clone(), entry);
            } else if stem != "lib" && !stem.ends_with("tests") && entry.extension().is_some_and(|kind| kind == "rs") {
                self.files.insert([module.as_slice(), &[stem]].concat(), entry);
            }
        }
    }

    fn read_exports(&mut self, module: &[String], file: &Path) {
        for (_, tree) in uses(&code(file)).into_iter().filter(|(public, _)| *public) {
            for (path, name) in flatten(&tree) {
                let path = absolute(module, &path);
                self.exports.entry(module.to_vec()).or_default().insert(name, path);
            }
        }
    }

    /// The file in which a path ends, re-exports followed.
    fn file_of(&self, path: &[String]) -> Option<Vec<String>> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let known = (0..=path.len()).rev().find(|&len| len == 0 || self.files.contains_key(&path[..len]))?;
            let next = path.get(known).and_then(|name| self.exports.get(&path[..known])?.get(name));
            match next {
                Some(target) if *target != path => path = [target.as_slice(), &path[known + 1..]].concat(),
                _ => return (known > 0).then(|| path[..known].to_vec()),
            }
        }
        None
    }

    fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (module, file) in &self.files {
            let code = code(file);
            let mut paths: Vec<Vec<String>> = Vec::new();
            for (public, tree) in uses(&code) {
                for (path, _) in flatten(&tree) {
                    let path = absolute(module, &path);
                    let own_child = path.starts_with(module) && self.files[module].ends_with("mod.rs");
                    if !(public && own_child) {
                        paths.push(path);
                    }
                }
            }
            for start in ["crate::", "super::"] {
                for (at, _) in code.match_indices(start).filter(|&(at, _)| !code[..at].ends_with('$')) {
                    let end = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
                    let path = words(&code[at..end.map_or(code.len(), |end| at + end)]);
                    paths.push(absolute(module, &path));
                }
            }
            for path in paths {
                if let Some(to) = self.file_of(&path).filter(|to| to != module) {
                    arrows.insert(Arrow { from: module.clone(), to });
                }
            }
        }
        arrows
    }

    fn show(&self, module: &[String]) -> String {
        self.files[module].display().to_string()
    }
}

/// A path as seen from a module, from the crate's root.
fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    match path.first().map(String::as_str) {
        Some("crate") => path[1..].to_vec(),
        Some("super") => {
            let ups = path.iter().take_while(|word| *word == "super").count();
            [&module[..module.len().saturating_sub(ups)], &path[ups..]].concat()
        }
        Some("self") => [module, &path[1..]].concat(),
        _ => [module, path].concat(),
    }
}

fn floor(module: &[String]) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module[0].as_str()))
}

fn house() -> House {
    House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn every_file_stands_on_a_floor() {
    let house = house();
    let homeless: Vec<_> = house.files.keys().filter(|module| floor(module).is_none()).map(|m| house.show(m)).collect();
    assert!(homeless.is_empty(), "not on the list of floors: {homeless:#?}");
}

#[test]
fn no_arrow_points_up() {
    let house = house();
    let arrows = house.arrows();
    assert!(arrows.len() > 500, "the imports are read: {}", arrows.len());
    let up = |arrow: &&Arrow| arrow.from[0] != arrow.to[0] && floor(&arrow.from) <= floor(&arrow.to);
    let wrong: Vec<_> = arrows
        .iter()
        .filter(up)
        .map(|a| format!("{} uses {}, which stands above or beside it", house.show(&a.from), house.show(&a.to)))
        .collect();
    assert!(wrong.is_empty(), "{} arrows up:\n{}", wrong.len(), wrong.join("\n"));
}

/// Depth first: a file that is met again while it is still open closes a circle.
fn walk<'a>(
    file: &'a [String],
    to: &BTreeMap<&'a [String], Vec<&'a [String]>>,
    open: &mut Vec<&'a [String]>,
    done: &mut BTreeSet<&'a [String]>,
    circles: &mut Vec<Vec<&'a [String]>>,
) {
    if let Some(start) = open.iter().position(|known| *known == file) {
        circles.push(open[start..].to_vec());
        return;
    }
    if done.contains(file) {
        return;
    }
    open.push(file);
    for next in to.get(file).into_iter().flatten() {
        walk(next, to, open, done, circles);
    }
    open.pop();
    done.insert(file);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let house = house();
    let mut to: BTreeMap<&[String], Vec<&[String]>> = BTreeMap::new();
    let arrows = house.arrows();
    for arrow in &arrows {
        to.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let (mut circles, mut done) = (Vec::new(), BTreeSet::new());
    for file in house.files.keys() {
        walk(file, &to, &mut Vec::new(), &mut done, &mut circles);
    }
    let circles: Vec<String> = circles
        .iter()
        .map(|circle| circle.iter().map(|file| house.show(file)).collect::<Vec<_>>().join(" → "))
        .collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

//! B-trees of version 1: of a group's tables, and of a data set's chunks.

use super::bytes::Bytes;

/// The kinds of trees, and what stands before each child of a node.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    kind: u8,
    key: usize,
}

impl Tree {
    pub const GROUP: Self = Self { kind: 0, key: 8 };

    /// Of chunks with so many axes: size, mask of the filters, and an offset for each axis and for the bytes of a value.
    pub fn chunks(rank: usize) -> Self {
        Self { kind: 1, key: 8 + 8 * (rank + 1) }
    }
}

/// Calls `leaf` for each child of the lowest nodes, with its key. Levels fall from node to node, and there are no more
/// children than the file has room for, so that a tree in a circle ends.
pub(super) fn leaves<'f>(
    file: &'f [u8],
    root: u64,
    tree: Tree,
    mut leaf: impl FnMut(Bytes<'f>, u64) -> Result<(), String>,
) -> Result<(), String> {
    let mut open = vec![(root, None)];
    let mut left = file.len() / (tree.key + 8);
    while let Some((address, above)) = open.pop() {
        let mut bytes = Bytes::from(file, address)?;
        bytes.signature("TREE")?;
        let (kind, level, children) = (bytes.u8()?, bytes.u8()?, usize::from(bytes.u16()?));
        if kind != tree.kind {
            return Err(format!("a tree of kind {kind} in place of {}", tree.kind));
        }
        if above.is_some_and(|above: u8| level != above - 1) {
            return Err("a tree whose levels do not fall".into());
        }
        left = left.checked_sub(children).ok_or("a tree with more children than there is room for")?;
        bytes.skip(16)?;
        for _ in 0..children {
            let key = Bytes::new(bytes.take(tree.key)?);
            let child = bytes.u64()?;
            if level == 0 { leaf(key, child)? } else { open.push((child, Some(level))) }
        }
    }
    Ok(())
}

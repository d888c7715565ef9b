//! The part of Python's pickles that dictionaries of tensors are made of. Nothing is run: a pickle names classes, and those on a
//! list become values of this module; every other class, and every other operation, is refused by name.

use std::collections::HashMap;

use crate::formats::safetensors::Dtype;

/// A value of a pickle. What can hold others lies in the [`Pickle`], under a number: so a value that holds itself, or is held
/// a thousand times, costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Class(Class),
    Storage(usize),
    Tensor(usize),
}

/// The classes and functions that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// A run of numbers that lies outside the pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageRef {
    pub key: String,
    pub dtype: Dtype,
    pub count: usize,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct TensorRef {
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// All that a pickle has made.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    pub texts: Vec<String>,
    /// Of tuples and lists.
    pub items: Vec<Vec<Value>>,
    pub dicts: Vec<Vec<(Value, Value)>>,
    pub storages: Vec<StorageRef>,
    pub tensors: Vec<TensorRef>,
}

impl Pickle {
    pub fn text(&self, value: &Value) -> Option<&str> {
        if let Value::Text(at) = value { Some(&self.texts[*at]) } else { None }
    }

    pub fn tuple(&self, value: &Value) -> Option<&[Value]> {
        if let Value::Tuple(at) = value { Some(&self.items[*at]) } else { None }
    }
}

/// The long integer that a file of the older form begins with.
pub(super) const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// What stands for it among the values.
pub(super) const MAGIC_VALUE: Value = Value::Int(i64::MIN);

/// Operations of one pickle, at most: some forty make a tensor.
const MOST_OPERATIONS: usize = 1 << 23;
/// Axes of a tensor, at most.
const MOST_AXES: usize = 32;
/// Bytes of a storage's key, at most: PyTorch's are numbers.
const LONGEST_KEY: usize = 64;

/// Reads one pickle, and moves `bytes` behind it.
pub(super) fn read(bytes: &mut &[u8]) -> Result<(Value, Pickle), String> {
    let mut machine =
        Machine { bytes, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), made: Pickle::default() };
    let mut operations = 0;
    while !machine.step()? {
        operations += 1;
        if operations > MOST_OPERATIONS {
            return Err(format!("has a pickle of more than {MOST_OPERATIONS} operations"));
        }
    }
    let value = machine.pop()?;
    let (rest, made) = (machine.bytes, machine.made);
    *bytes = rest;
    Ok((value, made))
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value>,
    /// The heights of the stack at its marks.
    marks: Vec<usize>,
    /// By numbers that the writer chooses: from 0 or from 1.
    memo: HashMap<usize, Value>,
    made: Pickle,
}

impl<'a> Machine<'a> {
    /// Does one operation, and says whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(true),
            0x80 => match self.take(1)?[0] {
                ..=3 => (),
                version => return Err(format!("a pickle of protocol {version}, and 2 and 3 are read")),
            },
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool(code == 0x88)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | b'T' => self.text(true)?,
            // As Python 2 writes texts.
            b'U' => self.text(false)?,
            b'}' => self.push_dict(),
            b']' | b')' => self.push_items(code == b']', Vec::new()),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.since_mark()?;
                self.push_items(false, items);
            }
            0x85..=0x87 => {
                let start = self.below(usize::from(code - 0x84))?;
                let items = self.stack.split_off(start);
                self.push_items(false, items);
            }
            b'a' | b'e' => self.append(code == b'e')?,
            b's' | b'u' => self.set_items(code == b'u')?,
            b'q' | b'r' => self.put(code == b'r')?,
            b'h' | b'j' => {
                let number = self.number(code == b'j')?;
                let value = self.memo.get(&number).ok_or_else(|| format!("reads the memo {number}, never written"))?;
                self.stack.push(value.clone());
            }
            b'c' => self.global()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => self.storage()?,
            other => {
                return Err(format!("has the operation {}, which weights do not need: it is not run", name_of(other)));
            }
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("cut short within a pickle")?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A number of one byte, or of four.
    fn number(&mut self, long: bool) -> Result<usize, String> {
        Ok(if long {
            let bytes = self.take(4)?.try_into().expect("four bytes");
            usize::try_from(u32::from_le_bytes(bytes)).map_err(|problem| problem.to_string())?
        } else {
            usize::from(self.take(1)?[0])
        })
    }

    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("a pickle takes a value where there is none".into());
        }
        self.stack.pop().ok_or_else(|| "a pickle takes a value where there is none".into())
    }

    /// The height of the stack without its last `count` values.
    fn below(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor);
        start.ok_or_else(|| "a pickle takes a value where there is none".into())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let start = self.marks.pop().ok_or("a pickle goes back to a mark where there is none")?;
        Ok(self.stack.split_off(start))
    }

    fn push_items(&mut self, list: bool, items: Vec<Value>) {
        let at = self.made.items.len();
        self.made.items.push(items);
        self.stack.push(if list { Value::List(at) } else { Value::Tuple(at) });
    }

    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.made.dicts.len()));
        self.made.dicts.push(Vec::new());
    }

    fn integer(&mut self, code: u8) -> Result<(), String> {
        let len = match code {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.take(1)?[0]),
        };
        let bytes = self.take(len)?;
        if bytes == MAGIC {
            self.stack.push(MAGIC_VALUE);
            return Ok(());
        }
        // Integers of one and two bytes have no sign.
        let signed = code == b'J' || code == 0x8a;
        let fill = if signed && bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut whole = [fill; 8];
        let place = whole.get_mut(..len).ok_or_else(|| format!("has an integer of {len} bytes, and 8 are read"))?;
        place.copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(whole)));
        Ok(())
    }

    /// A text behind its length, a number of one byte or of four.
    fn text(&mut self, long: bool) -> Result<(), String> {
        let len = self.number(long)?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|problem| format!("a text of it: {problem}"))?;
        self.stack.push(Value::Text(self.made.texts.len()));
        self.made.texts.push(text.to_owned());
        Ok(())
    }

    fn append(&mut self, many: bool) -> Result<(), String> {
        let values = if many { self.since_mark()? } else { vec![self.pop()?] };
        let start = self.below(1)?;
        let Value::List(at) = self.stack[start] else { return Err("a pickle appends to what is no list".into()) };
        self.made.items[at].extend(values);
        Ok(())
    }

    fn set_items(&mut self, many: bool) -> Result<(), String> {
        let values = if many {
            self.since_mark()?
        } else {
            let start = self.below(2)?;
            self.stack.split_off(start)
        };
        let start = self.below(1)?;
        let Value::Dict(at) = self.stack[start] else {
            return Err("a pickle sets an item of what is no dictionary".into());
        };
        let (pairs, rest) = values.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a pickle sets a key without a value".into());
        }
        self.made.dicts[at].extend(pairs.iter().map(|[key, value]| (key.clone(), value.clone())));
        Ok(())
    }

    fn put(&mut self, long: bool) -> Result<(), String> {
        let number = self.number(long)?;
        let value = self.stack[self.below(1)?].clone();
        self.memo.insert(number, value);
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (module, name) = (self.line()?, self.line()?);
        let class = match (module, name) {
            ("collections", "OrderedDict") => Some(Class::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Class::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Class::RebuildParameter),
            ("torch", name) => dtype_of(name).map(Class::Storage),
            _ => None,
        };
        let refused = || {
            format!(
                "names `{module}.{name}`, which is none of the classes that weights need: it is not loaded. A file of \
                 `torch.save(model.state_dict(), …)` has none such"
            )
        };
        self.stack.push(Value::Class(class.ok_or_else(refused)?));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n').ok_or("cut short within the name of a class")?;
        let line = std::str::from_utf8(self.take(end)?).map_err(|problem| format!("the name of a class: {problem}"))?;
        self.take(1)?;
        Ok(line)
    }

    /// A call of something on the list.
    fn reduce(&mut self) -> Result<(), String> {
        let (given, class) = (self.pop()?, self.pop()?);
        let Value::Class(class) = class else { return Err("a pickle calls what is no class".into()) };
        let arguments = self.made.tuple(&given).ok_or("a pickle calls a class without a tuple")?;
        match (class, arguments) {
            (Class::OrderedDict, []) => self.push_dict(),
            (Class::RebuildTensor, [Value::Storage(storage), offset, shape, strides, ..]) => {
                let tensor = TensorRef {
                    storage: *storage,
                    offset: size(offset).ok_or("a tensor's offset is no size")?,
                    shape: self.sizes(shape).ok_or("a tensor's shape is no tuple of sizes")?,
                    strides: self.sizes(strides).ok_or("a tensor's strides are no tuple of sizes")?,
                };
                self.stack.push(Value::Tensor(self.made.tensors.len()));
                self.made.tensors.push(tensor);
            }
            (Class::RebuildParameter, [Value::Tensor(tensor), ..]) => self.stack.push(Value::Tensor(*tensor)),
            _ => return Err(format!("calls {class:?} with arguments that it does not take")),
        }
        Ok(())
    }

    fn sizes(&self, value: &Value) -> Option<Vec<usize>> {
        self.made.tuple(value).filter(|sizes| sizes.len() <= MOST_AXES)?.iter().map(size).collect()
    }

    /// What PyTorch sets on a dictionary, the versions of its modules, is passed over.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let start = self.below(1)?;
        match self.stack[start] {
            Value::Dict(_) => Ok(()),
            _ => Err("a pickle sets the state of what is no dictionary".into()),
        }
    }

    /// `("storage", class, key, device, count)`, and in the older form what part of another it is, which must be none.
    fn storage(&mut self) -> Result<(), String> {
        let given = self.pop()?;
        let fields = self.made.tuple(&given).ok_or("names a storage by what is no tuple")?;
        let [kind, Value::Class(Class::Storage(dtype)), key, _, count, view @ ..] = fields else {
            return Err("names a storage by another tuple than PyTorch does".into());
        };
        if self.made.text(kind) != Some("storage") || !matches!(view, [] | [Value::None]) {
            return Err("names a storage that is part of another, or no storage".into());
        }
        let key = self.made.text(key).filter(|key| key.len() <= LONGEST_KEY);
        let key = key.ok_or("the key of a storage is no short text")?.to_owned();
        let storage = StorageRef { key, dtype: *dtype, count: size(count).ok_or("a storage's length is no size")? };
        self.stack.push(Value::Storage(self.made.storages.len()));
        self.made.storages.push(storage);
        Ok(())
    }
}

fn size(value: &Value) -> Option<usize> {
    if let Value::Int(size) = value { usize::try_from(*size).ok() } else { None }
}

/// The type of a storage's class.
fn dtype_of(class: &str) -> Option<Dtype> {
    Some(match class {
        "BoolStorage" => Dtype::BOOL,
        "ByteStorage" => Dtype::U8,
        "CharStorage" => Dtype::I8,
        "ShortStorage" => Dtype::I16,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "IntStorage" => Dtype::I32,
        "FloatStorage" => Dtype::F32,
        "DoubleStorage" => Dtype::F64,
        "LongStorage" => Dtype::I64,
        _ => return None,
    })
}

/// The name of an operation that makes objects or calls, as `pickletools` has it; of others the byte.
fn name_of(code: u8) -> String {
    let name = match code {
        b'i' => "INST",
        b'o' => "OBJ",
        b'P' => "PERSID",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        _ => return format!("{code:#04x}"),
    };
    name.into()
}

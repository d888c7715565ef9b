//! Bytes read in order, each number only where it is there.

/// What is read, and how far.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'f> {
    all: &'f [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

/// The address of what was never written.
const NOWHERE: u64 = u64::MAX;

impl<'f> Bytes<'f> {
    pub fn new(all: &'f [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// From an address of the file on.
    pub fn from(file: &'f [u8], address: u64) -> Read<Self> {
        let at = usize::try_from(address).ok().filter(|&at| at <= file.len());
        let at = at.ok_or_else(|| format!("an address {address} beyond its end"))?;
        Ok(Self { all: file, at })
    }

    pub fn take(&mut self, count: usize) -> Read<&'f [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.all.len());
        let end = end.ok_or_else(|| format!("{count} bytes are missing at {}", self.at))?;
        let taken = &self.all[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// So many bytes as a length of the file says.
    pub fn take_length(&mut self, count: u64) -> Read<&'f [u8]> {
        self.take(usize::try_from(count).map_err(|_| format!("{count} bytes are missing at {}", self.at))?)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as were taken"))
    }

    pub fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of 1, 2, 4 or 8 bytes, as the two bits of a message's flags say.
    pub fn sized(&mut self, bits: u8) -> Read<u64> {
        Ok(match bits & 3 {
            0 => self.u8()?.into(),
            1 => self.u16()?.into(),
            2 => self.u32()?.into(),
            _ => self.u64()?,
        })
    }

    /// An address, none where there is nothing.
    pub fn address(&mut self) -> Read<Option<u64>> {
        Ok(Some(self.u64()?).filter(|&address| address != NOWHERE))
    }

    pub fn skip(&mut self, count: usize) -> Read<()> {
        self.take(count).map(drop)
    }

    /// To the next multiple of 8 since the beginning.
    pub fn align(&mut self) -> Read<()> {
        self.skip(self.at.next_multiple_of(8) - self.at)
    }

    /// These bytes, which stand before a structure of the file.
    pub fn signature(&mut self, name: &str) -> Read<()> {
        let found = self.take(name.len())?;
        if found == name.as_bytes() { Ok(()) } else { Err(format!("`{name}` is missing at {}", self.at - name.len())) }
    }

    /// A version, which must be among those that are read.
    pub fn version(&mut self, of: &str, read: &[u8]) -> Read<u8> {
        let version = self.u8()?;
        if read.contains(&version) { Ok(version) } else { Err(format!("{of} of version {version}, which is not read")) }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.all.len() - self.at
    }

    pub fn rest(&self) -> &'f [u8] {
        &self.all[self.at..]
    }
}

/// A text that ends at its first zero, or where the bytes end.
pub(super) fn text(bytes: &[u8]) -> Read<String> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| "a text that is not UTF-8".to_owned())
}

//! Fixed-size records, field by field. Whatever a field leaves unused is zero, or it is no record:
//! one encoding for each value.

/// Reads a record from its beginning. Nothing in here can panic, whatever the bytes.
pub(crate) struct WireReader<'a> {
    rest: &'a [u8],
}

impl<'a> WireReader<'a> {
    pub(crate) fn new(record: &'a [u8]) -> Self {
        Self { rest: record }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes, big-endian.
    pub(crate) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes, big-endian.
    pub(crate) fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length byte and that number of bytes.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?);
        let (field, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(field)
    }

    /// A length byte and a field of `max` bytes, of which the length byte says how many are used.
    pub(crate) fn padded(&mut self, max: usize) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?);
        let (field, rest) = self.rest.split_at_checked(max)?;
        self.rest = rest;
        let (counts, padding) = field.split_at_checked(length)?;
        is_zero(padding).then_some(counts)
    }

    /// A count and `max` slots of `width` bytes, each read by `read`, the others zero.
    pub(crate) fn slots<T>(
        &mut self,
        max: usize,
        width: usize,
        read: fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::from(self.byte()?);
        let (field, rest) = self.rest.split_at_checked(max.checked_mul(width)?)?;
        self.rest = rest;
        let (used, padding) = field.split_at_checked(count.checked_mul(width)?)?;
        let items: Option<Vec<T>> =
            used.chunks_exact(width).map(|slot| read(&mut WireReader { rest: slot })).collect();
        items.filter(|_| is_zero(padding))
    }

    /// Whether only zeros are left.
    pub(crate) fn ends(&self) -> bool {
        is_zero(self.rest)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Writes a record of `N` bytes from its beginning.
pub(crate) struct Writer<const N: usize> {
    record: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) fn new() -> Self {
        Self { record: [0; N], at: 0 }
    }

    /// These bytes; nothing if the record is too short.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.record.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    /// Leaves `count` bytes zero.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|&end| end <= N)?;
        Some(())
    }

    /// A length byte and these bytes in a field of `max`.
    pub(crate) fn padded(&mut self, bytes: &[u8], max: usize) -> Option<()> {
        self.put(&[u8::try_from(bytes.len()).ok()?])?;
        let padding = max.checked_sub(bytes.len())?;
        self.put(bytes)?;
        self.skip(padding)
    }

    /// The record; what was not written is zero.
    pub(crate) fn finish(self) -> [u8; N] {
        self.record
    }
}

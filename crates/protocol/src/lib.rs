//! stand-in
use std::{fmt::Display, ops::Range, sync::Arc};
#[derive(Clone, Copy)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}
#[derive(Clone, Copy)]
pub struct Words<'a> {
    input: &'a [u8],
    spans: &'a [Span],
}
impl<'a> Words<'a> {
    pub fn new(input: &'a [u8], spans: &'a [Span]) -> Self {
        Words { input, spans }
    }
    pub fn len(&self) -> usize {
        self.spans.len()
    }
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        let s = self.spans.get(i)?;
        self.input.get(s.start as usize..s.end as usize)
    }
}
#[derive(Clone, Copy, PartialEq)]
pub enum Dialect {
    Resp2,
    Resp3,
}
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
}
pub struct Reply<'a> {
    out: &'a mut Output,
    dialect: Dialect,
}
pub struct Deferred(usize);
impl<'a> Reply<'a> {
    pub fn new(out: &'a mut Output, dialect: Dialect) -> Self {
        Reply { out, dialect }
    }
    pub fn ok(&mut self) {}
    pub fn simple(&mut self, _: &str) {}
    pub fn error(&mut self, _: &dyn Display) {}
    pub fn integer(&mut self, _: i64) {}
    pub fn bulk(&mut self, b: &[u8]) {
        self.out.bytes.extend_from_slice(b)
    }
    pub fn bulk_shared(&mut self, _: &Arc<Vec<u8>>, _: Range<usize>) {}
    pub fn null(&mut self) {
        let _ = self.dialect;
    }
    pub fn null_array(&mut self) {}
    pub fn array(&mut self, _: usize) {}
    pub fn map(&mut self, _: usize) {}
    pub fn set(&mut self, _: usize) {}
    pub fn push(&mut self, _: usize) {}
    pub fn double(&mut self, _: f64) {}
    pub fn boolean(&mut self, _: bool) {}
    pub fn verbatim(&mut self, _: &str, _: &[u8]) {}
    pub fn deferred_array(&mut self) -> Deferred {
        Deferred(0)
    }
    pub fn finish(&mut self, d: Deferred, _: usize) {
        let _ = d.0;
    }
}

//! Reads the fields that the library knows how to read.

use domain::base::name::Name as DomainName;
use domain::base::scan::{ConvertSymbols, EntrySymbol, Scanner, ScannerError, Symbol, Symbols};
use domain::base::{CharStr, Rtype as DomainRtype};
use domain::dep::octseq::str::Str;
use domain::rdata::ZoneRecordData;

use crate::wire::master::{Token, absolute_name};
use crate::wire::{Name, Rtype};

/// Why fields could not be read, and at which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// What was expected.
    pub(super) wanted: String,
    /// The index of the token where something else was found; past the last one for the end.
    pub(super) token: usize,
}

/// Reads the fields of a type that `domain` knows into wire form.
///
/// The library's own reader of files is not used: it works in place, stops at the first error and
/// does not say at which token. Its readers of fields are, over tokens that are already found.
pub(super) fn read_fields(
    rtype: Rtype,
    tokens: &[Token<'_>],
    origin: &Name,
) -> Result<Vec<u8>, Complaint> {
    use domain::base::rdata::ComposeRecordData;

    let mut scanner = TokenScanner {
        tokens,
        at: 0,
        origin,
    };
    let complaint = |error: ScanError, at: usize| Complaint {
        token: match &error {
            // The token that the last field was read from; an end of the entry has none.
            ScanError::Field(_) => at.saturating_sub(1),
            ScanError::End | ScanError::Trailing => at,
        },
        wanted: error.to_string(),
    };
    let data = ZoneRecordData::scan(DomainRtype::from_int(rtype.code()), &mut scanner);
    let data = data.map_err(|error| complaint(error, scanner.at))?;
    if scanner.at < tokens.len() {
        return Err(complaint(ScanError::Trailing, scanner.at));
    }
    let mut octets = Vec::new();
    data.compose_rdata(&mut octets)
        .map_err(|_| complaint(ScanError::Trailing, 0))?;
    Ok(octets)
}

/// What a field's reader may complain of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ScanError {
    /// The token is no such field.
    #[error("{0}")]
    Field(String),
    /// The record ends before the field.
    #[error("expected another field")]
    End,
    /// The record goes on behind its last field.
    #[error("expected the end of the record")]
    Trailing,
}

impl ScannerError for ScanError {
    fn custom(message: &'static str) -> Self {
        Self::Field(if message.starts_with("expected") {
            message.to_owned()
        } else {
            format!("expected other data ({message})")
        })
    }

    fn end_of_entry() -> Self {
        Self::End
    }

    fn short_buf() -> Self {
        Self::custom("data too long")
    }

    fn trailing_tokens() -> Self {
        Self::Trailing
    }
}

/// Hands tokens to the field readers of `domain`.
struct TokenScanner<'t> {
    /// The tokens behind the type.
    tokens: &'t [Token<'t>],
    /// The next one.
    at: usize,
    /// Where relative names belong.
    origin: &'t Name,
}

impl<'t> TokenScanner<'t> {
    /// Takes the next token.
    fn take(&mut self) -> Result<&'t Token<'t>, ScanError> {
        let token = self.tokens.get(self.at).ok_or(ScanError::End)?;
        self.at += 1;
        Ok(token)
    }

    /// Takes the next token's octets, at most 255 of them.
    fn take_string(&mut self) -> Result<Vec<u8>, ScanError> {
        let octets = self.take()?.octets();
        if octets.len() > 255 {
            let length = octets.len();
            return Err(ScanError::Field(format!(
                "expected a string of at most 255 octets ({length} here: cut it into several)"
            )));
        }
        Ok(octets)
    }
}

/// Returns the symbols of a token, whose escapes are known to be well formed.
fn symbols<'t>(token: &Token<'t>) -> Symbols<std::str::Chars<'t>> {
    Symbols::new(token.text.chars())
}

impl Scanner for TokenScanner<'_> {
    type Octets = Vec<u8>;
    type OctetsBuilder = Vec<u8>;
    type Name = DomainName<Vec<u8>>;
    type Error = ScanError;

    fn has_space(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| !token.glued)
    }

    fn continues(&mut self) -> bool {
        self.at < self.tokens.len()
    }

    fn scan_symbols<F>(&mut self, mut op: F) -> Result<(), ScanError>
    where
        F: FnMut(Symbol) -> Result<(), ScanError>,
    {
        let token = self.take()?;
        // Without a symbol a number would be read as zero.
        if token.text.is_empty() {
            return Err(ScanError::Field("expected a field".to_owned()));
        }
        symbols(token).try_for_each(&mut op)
    }

    fn scan_entry_symbols<F>(&mut self, mut op: F) -> Result<(), ScanError>
    where
        F: FnMut(EntrySymbol) -> Result<(), ScanError>,
    {
        while self.continues() {
            symbols(self.take()?).try_for_each(|symbol| op(symbol.into()))?;
            op(EntrySymbol::EndOfToken)?;
        }
        Ok(())
    }

    fn convert_token<C: ConvertSymbols<Symbol, ScanError>>(
        &mut self,
        mut convert: C,
    ) -> Result<Vec<u8>, ScanError> {
        let mut octets = Vec::new();
        for symbol in symbols(self.take()?) {
            octets.extend_from_slice(convert.process_symbol(symbol)?.unwrap_or_default());
        }
        octets.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(octets)
    }

    fn convert_entry<C: ConvertSymbols<EntrySymbol, ScanError>>(
        &mut self,
        mut convert: C,
    ) -> Result<Vec<u8>, ScanError> {
        let mut octets = Vec::new();
        while self.continues() {
            for symbol in symbols(self.take()?) {
                let data = convert.process_symbol(symbol.into())?;
                octets.extend_from_slice(data.unwrap_or_default());
            }
        }
        octets.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(octets)
    }

    fn scan_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(self.take()?.octets())
    }

    fn scan_ascii_str<F, T>(&mut self, op: F) -> Result<T, ScanError>
    where
        F: FnOnce(&str) -> Result<T, ScanError>,
    {
        let octets = self.take()?.octets();
        match str::from_utf8(&octets) {
            Ok(text) if text.is_ascii() => op(text),
            _ => Err(ScanError::custom("letters beyond ASCII")),
        }
    }

    fn scan_name(&mut self) -> Result<DomainName<Vec<u8>>, ScanError> {
        let origin = self.origin;
        let name = absolute_name(self.take()?, origin).map_err(ScanError::Field)?;
        DomainName::from_octets(name.as_wire().to_vec())
            .map_err(|_| ScanError::custom("expected a domain name"))
    }

    fn scan_charstr(&mut self) -> Result<CharStr<Vec<u8>>, ScanError> {
        CharStr::from_octets(self.take_string()?).map_err(|_| ScanError::custom("string too long"))
    }

    fn scan_string(&mut self) -> Result<Str<Vec<u8>>, ScanError> {
        Str::from_utf8(self.take()?.octets()).map_err(|_| ScanError::custom("expected UTF-8"))
    }

    fn scan_charstr_entry(&mut self) -> Result<Vec<u8>, ScanError> {
        // At least one string (RFC 1035, section 3.3.14).
        let mut octets = Vec::new();
        loop {
            let string = self.take_string()?;
            octets.push(string.len() as u8);
            octets.extend_from_slice(&string);
            if !self.continues() {
                return Ok(octets);
            }
        }
    }

    fn scan_opt_unknown_marker(&mut self) -> Result<bool, ScanError> {
        // Read before the fields, for every type.
        Ok(false)
    }

    fn octets_builder(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(Vec::new())
    }
}

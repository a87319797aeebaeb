//! From lines to entries: quotes, escapes, comments, parentheses.

use super::error::Fault;

/// One token of an entry, its escapes known to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Token<'t> {
    /// The token as written, escapes and all, without quotes around it.
    pub(in crate::wire) text: &'t str,
    /// Whether quotes stand around it.
    pub(in crate::wire) quoted: bool,
    /// Whether it follows the token before it without a space, as in `alpn="h2"`.
    pub(in crate::wire) glued: bool,
    /// The line it stands on.
    pub(in crate::wire) line: u32,
}

impl Token<'_> {
    /// Returns the token's octets with escapes resolved (RFC 1035, section 5.1).
    pub(in crate::wire) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.text.len());
        let mut rest = self.text.bytes();
        while let Some(octet) = rest.next() {
            if octet != b'\\' {
                octets.push(octet);
                continue;
            }
            match rest.next() {
                Some(first) if first.is_ascii_digit() => {
                    let digits = [Some(first), rest.next(), rest.next()];
                    let digits = digits.into_iter().flatten();
                    // The lexer has checked that there are three digits and at most 255.
                    octets.push(digits.fold(0_u8, |value, digit| {
                        value
                            .wrapping_mul(10)
                            .wrapping_add(digit.wrapping_sub(b'0'))
                    }));
                }
                Some(other) => octets.push(other),
                None => {}
            }
        }
        octets
    }

    /// Returns whether the token stands without quotes and reads `word`, in any case.
    pub(in crate::wire) fn is_word(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word)
    }
}

/// A logical line: a record or a directive, parentheses resolved, comments gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Entry<'t> {
    /// The tokens; at least one.
    pub(in crate::wire) tokens: Vec<Token<'t>>,
    /// Whether a space stands in front: the owner is that of the record before.
    pub(in crate::wire) indented: bool,
    /// The line it begins on.
    pub(in crate::wire) line: u32,
}

/// The entries of a text, or what is wrong with one.
///
/// After a fault it goes on with the next line; when parentheses were open, with the next one
/// that begins like a record, so that one slip is not reported for each line of its record. After
/// a parenthesis that is never closed that may be a line already passed, once: the whole takes
/// time in proportion to the text.
pub(in crate::wire) struct Entries<'t> {
    /// The text.
    text: &'t str,
    /// Where in it to go on.
    at: usize,
    /// The line that is.
    line: u32,
}

/// Whether an entry goes on over the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parentheses {
    /// It does not.
    Closed,
    /// It does, since a parenthesis was opened.
    Open {
        /// Where in the text.
        at: usize,
        /// On which line.
        line: u32,
    },
}

impl<'t> Entries<'t> {
    /// Begins at the first line.
    pub(in crate::wire) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// Reads one logical line, which may have no token.
    ///
    /// Leaves after a fault `at` where to look for the next line.
    fn entry(&mut self) -> Result<Entry<'t>, (Fault, Parentheses)> {
        let mut entry = Entry {
            tokens: Vec::new(),
            indented: matches!(self.peek(), Some(b' ' | b'\t')),
            line: self.line,
        };
        let mut parentheses = Parentheses::Closed;
        let mut spaced = true;
        while let Some(octet) = self.peek() {
            match (octet, parentheses) {
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'\n', _) => {
                    self.at += 1;
                    self.line += 1;
                    if parentheses == Parentheses::Closed {
                        return Ok(entry);
                    }
                }
                (b';', _) => self.skip_to_line_end(),
                (b'(', Parentheses::Closed) => {
                    let (at, line) = (self.at, self.line);
                    parentheses = Parentheses::Open { at, line };
                    self.at += 1;
                }
                // Nested ones would mean nothing, and are what a forgotten ")" looks like.
                (b'(', Parentheses::Open { at, line }) => {
                    let found = format!("another \"(\" on line {}", self.line);
                    return Err((self.unclosed(at, line, &found), parentheses));
                }
                (b')', Parentheses::Open { .. }) => {
                    parentheses = Parentheses::Closed;
                    self.at += 1;
                }
                (b')', Parentheses::Closed) => {
                    let fault = self.fault("found \")\" without \"(\" before it");
                    return Err((fault, parentheses));
                }
                _ => {
                    let token = self.token(!spaced).map_err(|fault| (fault, parentheses))?;
                    entry.tokens.push(token);
                    spaced = false;
                    continue;
                }
            }
            spaced = true;
        }
        match parentheses {
            Parentheses::Closed => Ok(entry),
            Parentheses::Open { at, line } => {
                Err((self.unclosed(at, line, "the end of the text"), parentheses))
            }
        }
    }

    /// Goes back to a parenthesis that is never closed and makes its fault.
    fn unclosed(&mut self, at: usize, line: u32, found: &str) -> Fault {
        self.at = at;
        self.line = line;
        self.fault(format!("expected \")\" for the \"(\" here, found {found}"))
    }

    /// Reads a token that begins here.
    fn token(&mut self, glued: bool) -> Result<Token<'t>, Fault> {
        let quoted = self.peek() == Some(b'"');
        self.at += usize::from(quoted);
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') if quoted => break,
                Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"') if !quoted => break,
                None if !quoted => break,
                None | Some(b'\n') => {
                    return Err(self.fault("expected a closing quote, found the end of the line"));
                }
                Some(b'\\') => self.escape()?,
                Some(octet) if octet.is_ascii_control() && octet != b'\t' => {
                    let reason = format!("found a control character: write it as \\{octet:03}");
                    return Err(self.fault(reason));
                }
                Some(_) => self.at += 1,
            }
        }
        let text = &self.text[start..self.at];
        self.at += usize::from(quoted);
        Ok(Token {
            text,
            quoted,
            glued,
            line: self.line,
        })
    }

    /// Passes over an escape, if it is well formed.
    fn escape(&mut self) -> Result<(), Fault> {
        let after = &self.text.as_bytes()[self.at + 1..];
        self.at += match after {
            [a @ b'0'..=b'2', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] if [*a, *b, *c] <= *b"255" => 4,
            [b'0'..=b'9', ..] | [] => {
                return Err(self.fault("found a bad escape: expected \\DDD, up to \\255"));
            }
            [0x20..=0x7e, ..] => 2,
            _ => {
                let reason = "found a backslash: expected \\DDD, or \\ and a printable character";
                return Err(self.fault(reason));
            }
        };
        Ok(())
    }

    /// Returns the octet here.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes to the line feed that ends this line, or to the end.
    fn skip_to_line_end(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|octet| *octet == b'\n');
        self.at += length.unwrap_or(rest.len());
    }

    /// Goes to the line from which to read on after a fault.
    fn resume(&mut self, parentheses: Parentheses) {
        loop {
            self.skip_to_line_end();
            if self.peek().is_none() {
                return;
            }
            self.at += 1;
            self.line += 1;
            let continues = matches!(
                self.peek(),
                Some(b' ' | b'\t' | b'\r' | b'\n' | b')' | b';' | b'"')
            );
            if parentheses == Parentheses::Closed || !continues {
                return;
            }
        }
    }

    /// Makes a fault of this line.
    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            reason: reason.into(),
        }
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            match self.entry() {
                Ok(entry) if entry.tokens.is_empty() => {}
                Ok(entry) => return Some(Ok(entry)),
                Err((fault, parentheses)) => {
                    self.resume(parentheses);
                    return Some(Err(fault));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts of each entry's tokens, or the line of a fault.
    fn read(text: &str) -> Vec<Result<Vec<&str>, u32>> {
        Entries::new(text)
            .map(|entry| match entry {
                Ok(entry) => Ok(entry.tokens.iter().map(|token| token.text).collect()),
                Err(fault) => Err(fault.line),
            })
            .collect()
    }

    #[test]
    fn quotes_inside_parentheses_span_lines_and_hide_semicolons() {
        let text =
            "a TXT ( \"v=DKIM1; k=rsa; \" ; the key\n  \"p=(M\\\"II\" ) ; end\n\n b A 192.0.2.1";

        assert_eq!(
            read(text),
            [
                Ok(vec!["a", "TXT", "v=DKIM1; k=rsa; ", "p=(M\\\"II"]),
                Ok(vec!["b", "A", "192.0.2.1"]),
            ]
        );
    }

    #[test]
    fn a_fault_names_its_line_and_the_next_record_is_read() {
        let text = "a TXT \"open\nb A 192.0.2.1\n)\nc TXT \\256\nd TXT \\12\n\
                    e SOA ( a b\n 1\n 2\nf SOA ( x )\ng A (\nh A x\n";

        assert_eq!(
            read(text),
            [
                Err(1),
                Ok(vec!["b", "A", "192.0.2.1"]),
                Err(3),
                Err(4),
                Err(5),
                Err(6),
                Ok(vec!["f", "SOA", "x"]),
                Err(10),
                Ok(vec!["h", "A", "x"]),
            ]
        );
    }

    #[test]
    fn a_quote_may_follow_a_token_at_once() {
        let Some(Ok(entry)) = Entries::new("alpn=\"h2\" \"x\"").next() else {
            panic!("no entry");
        };

        let glued: Vec<bool> = entry.tokens.iter().map(|token| token.glued).collect();
        assert_eq!(glued, [false, true, false]);
    }
}

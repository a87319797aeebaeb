//! Opcodes and response codes.

use std::fmt;

/// What kind of message it is (RFC 1035, section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opcode(u8);

impl Opcode {
    /// A question.
    pub const QUERY: Self = Self(0);
    /// A hint that a zone has changed (RFC 1996).
    pub const NOTIFY: Self = Self(4);

    /// Takes the low four bits.
    pub const fn new(number: u8) -> Self {
        Self(number & 0xf)
    }

    /// Returns the number, below 16.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How an answer came out: twelve bits, the upper eight in the OPT record (RFC 6891, section
/// 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(u16);

/// Defines response codes by name, number and meaning.
macro_rules! rcodes {
    ($($name:ident $code:literal $doc:literal)*) => {
        impl Rcode {
            $(#[doc = $doc] pub const $name: Self = Self($code);)*

            /// Returns the mnemonic of a code we know by name.
            fn mnemonic(self) -> Option<&'static str> {
                match self.0 { $($code => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

// The ones we send (IANA registry "DNS RCODEs").
rcodes! {
    NOERROR 0 "No error; perhaps without data."
    FORMERR 1 "The query is malformed."
    SERVFAIL 2 "We should know and cannot say."
    NXDOMAIN 3 "The name does not exist."
    NOTIMP 4 "We do not do such things."
    REFUSED 5 "We do not do such things for you, or are not the server for this."
    YXDOMAIN 6 "A DNAME makes too long a name (RFC 6672, section 2.2)."
    NOTAUTH 9 "The query is signed with a key that we do not have (RFC 8945, section 5.2.1)."
    BADVERS 16 "The EDNS version is not ours (RFC 6891, section 6.1.3)."
    BADCOOKIE 23 "The server's cookie is wrong or missing (RFC 7873, section 8)."
}

impl Rcode {
    /// Takes the low twelve bits.
    pub const fn new(code: u16) -> Self {
        Self(code & 0xfff)
    }

    /// Returns the code, below 4096.
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Rcode {
    /// Writes the mnemonic, or `RCODEnnn`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.write_str(text),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

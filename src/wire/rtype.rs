//! Record types, by number and by mnemonic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of a record or of a question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rtype(u16);

/// A text that names no record type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("expected a record type like MX or TYPE65400, found {found:?}")]
pub struct RtypeError {
    /// The text that was found.
    pub found: String,
}

/// Makes a constant of each type and finds types by their mnemonics.
macro_rules! rtypes {
    ($($name:ident $text:literal $code:literal)*) => {
        impl Rtype {
            $(#[doc = concat!("The type ", $text, ".")] pub const $name: Self = Self($code);)*

            /// Returns the mnemonic of a type we know by name.
            fn mnemonic(self) -> Option<&'static str> {
                match self.0 { $($code => Some($text),)* _ => None }
            }

            /// Returns the type with a mnemonic, which is given in upper case.
            fn from_mnemonic(text: &str) -> Option<Self> {
                match text { $($text => Some(Self($code)),)* _ => None }
            }
        }
    };
}

// The IANA registry's types that occur in zones today, and the question types.
rtypes! {
    A "A" 1            NS "NS" 2            MD "MD" 3            MF "MF" 4
    CNAME "CNAME" 5    SOA "SOA" 6          MB "MB" 7            MG "MG" 8
    MR "MR" 9          NULL "NULL" 10       WKS "WKS" 11         PTR "PTR" 12
    HINFO "HINFO" 13   MINFO "MINFO" 14     MX "MX" 15           TXT "TXT" 16
    RP "RP" 17         AFSDB "AFSDB" 18     X25 "X25" 19         ISDN "ISDN" 20
    RT "RT" 21         SIG "SIG" 24         KEY "KEY" 25         PX "PX" 26
    AAAA "AAAA" 28     LOC "LOC" 29         SRV "SRV" 33         NAPTR "NAPTR" 35
    KX "KX" 36         CERT "CERT" 37       DNAME "DNAME" 39     OPT "OPT" 41
    APL "APL" 42       DS "DS" 43           SSHFP "SSHFP" 44     IPSECKEY "IPSECKEY" 45
    RRSIG "RRSIG" 46   NSEC "NSEC" 47       DNSKEY "DNSKEY" 48   DHCID "DHCID" 49
    NSEC3 "NSEC3" 50   NSEC3PARAM "NSEC3PARAM" 51                TLSA "TLSA" 52
    SMIMEA "SMIMEA" 53 HIP "HIP" 55         CDS "CDS" 59         CDNSKEY "CDNSKEY" 60
    OPENPGPKEY "OPENPGPKEY" 61              CSYNC "CSYNC" 62     ZONEMD "ZONEMD" 63
    SVCB "SVCB" 64     HTTPS "HTTPS" 65     SPF "SPF" 99         NXNAME "NXNAME" 128
    TKEY "TKEY" 249
    TSIG "TSIG" 250    IXFR "IXFR" 251      AXFR "AXFR" 252      MAILB "MAILB" 253
    MAILA "MAILA" 254  ANY "ANY" 255        URI "URI" 256        CAA "CAA" 257
}

impl Rtype {
    /// Takes the number of a type.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Returns whether the type stands for questions or messages only, never for data in a zone
    /// (RFC 6895, section 3.1; RFC 9824, section 3.4).
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }

    /// Returns whether names in the data of this type may be compressed in a message: those of
    /// RFC 1035 only, which every reader knows (RFC 3597, section 4).
    pub const fn compresses_names(self) -> bool {
        matches!(
            self,
            Self::NS
                | Self::MD
                | Self::MF
                | Self::CNAME
                | Self::SOA
                | Self::MB
                | Self::MG
                | Self::MR
                | Self::PTR
                | Self::MINFO
                | Self::MX
        )
    }

    /// Returns whether a signer makes the records of this type, so that nobody else may.
    pub const fn is_made_by_signing(self) -> bool {
        matches!(
            self,
            Self::RRSIG | Self::NSEC | Self::NSEC3 | Self::NSEC3PARAM
        )
    }
}

impl fmt::Display for Rtype {
    /// Writes the mnemonic, or `TYPEnnn` (RFC 3597, section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.write_str(text),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Rtype {
    type Err = RtypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let number = || upper.strip_prefix("TYPE")?.parse().ok().map(Self);
        Self::from_mnemonic(&upper)
            .or_else(number)
            .ok_or_else(|| RtypeError {
                found: text.to_owned(),
            })
    }
}

impl Serialize for Rtype {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Rtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(serde::de::Error::custom)
        } else {
            u16::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_as_it_is_written() {
        for code in 0..=u16::MAX {
            let rtype = Rtype::new(code);

            assert_eq!(rtype.to_string().parse(), Ok(rtype));
        }
        assert_eq!("type15".parse(), Ok(Rtype::MX));
        assert!("TYPE65536".parse::<Rtype>().is_err());
    }
}

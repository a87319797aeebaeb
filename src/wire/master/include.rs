//! What may stand behind `$INCLUDE`: the caller decides.

/// Where the text behind `$INCLUDE` comes from.
///
/// It is asked with the path as the file has it, escapes resolved. A source that reads files must
/// refuse absolute paths and `..`: the text that names the path may come from anyone who may
/// upload a zone.
pub trait IncludeSource {
    /// Returns the text of an included file.
    ///
    /// # Errors
    ///
    /// Says why there is none, in words for the operator.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// The source of a text that may not include others: one that came through the API.
#[derive(Clone, Copy, Debug)]
pub struct NoIncludes;

impl IncludeSource for NoIncludes {
    fn read(&self, _path: &str) -> Result<String, String> {
        Err("nothing can be included here: there is no folder beside this text".to_owned())
    }
}

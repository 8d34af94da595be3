//! What a request can come to beside an answer.

/// Result of whatever answers a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request has no answer (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The request makes no sense: what about it, and what would.
    Asked(String),
    /// There is no such thing.
    Missing(String),
    /// It asks for a run, and this is a model without one.
    Alone,
    /// It cannot be computed: the error of the library.
    Failed(String),
    /// It is being computed; ask again. How far it is, `/api/work` says.
    Pending,
    /// Too much is being asked for at once.
    Busy,
    /// Whoever asked is gone.
    Gone,
    /// Something in here is wrong.
    Panic,
}

impl Error {
    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Error::Asked(_) => 400,
            Error::Missing(_) => 404,
            Error::Failed(_) | Error::Alone => 422,
            Error::Pending => 202,
            Error::Busy => 503,
            Error::Gone => 499,
            Error::Panic => 500,
        }
    }

    /// What is said to the page.
    pub fn text(&self) -> String {
        match self {
            Error::Asked(text) | Error::Missing(text) | Error::Failed(text) => text.clone(),
            Error::Alone => {
                "this is a model without its run: its steps, rows and log are not here; open the run to see them"
                    .to_owned()
            }
            Error::Pending => "it is being computed; ask again".to_owned(),
            Error::Busy => "too many questions wait for an answer; ask again".to_owned(),
            Error::Gone => "nobody waits for the answer".to_owned(),
            Error::Panic => "this question made the studio stumble; it is a bug".to_owned(),
        }
    }
}

impl From<train::Error> for Error {
    fn from(error: train::Error) -> Error {
        Error::Failed(error.to_string())
    }
}

impl From<tensor::Error> for Error {
    fn from(error: tensor::Error) -> Error {
        Error::Failed(error.to_string())
    }
}

impl From<data::DataError> for Error {
    fn from(error: data::DataError) -> Error {
        Error::Failed(error.to_string())
    }
}

impl From<nn::Error> for Error {
    fn from(error: nn::Error) -> Error {
        Error::Failed(error.to_string())
    }
}

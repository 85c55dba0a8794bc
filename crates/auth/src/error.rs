use std::time::Duration;

use breezeway_core::{Classify, ErrorKind, LaneError, StoreError, UserId};

/// The result of a question to [`crate::Auth`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an account, session or key was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was presented.
    #[error("no credential was sent")]
    NoCredential,
    /// A session token that does not verify or has expired.
    #[error("the session token is not valid")]
    InvalidToken,
    /// An unknown API key, or a token of an account that is gone.
    #[error("the credential belongs to no account")]
    UnknownCredential,
    /// A session token from before a sign-out or password change.
    #[error("the session has ended")]
    Revoked,
    /// The proxy in front has signed in somebody else.
    #[error("the session belongs to another account than the one the proxy has signed in")]
    OtherPerson,
    /// The proxy's word for who is there says two things at once.
    #[error("the headers of the proxy are not clear")]
    UnclearPerson,
    /// API keys are switched off.
    #[error("API keys are switched off")]
    ApiKeysOff,
    /// The key may not be used for this path.
    #[error("the API key may not be used for this path")]
    EndpointNotAllowed,
    /// A person is wanted, and an API key was used.
    #[error("this needs a signed-in person")]
    HumanRequired,
    /// The caller's role or permissions do not allow this.
    #[error("the caller may not do this")]
    Forbidden,
    /// Making keys is switched off, or not allowed to this account.
    #[error("the caller may not make API keys")]
    KeysNotAllowed,
    /// A key with limits of its own was used where it could free itself of them.
    #[error("an API key with limits of its own may not manage keys or accounts")]
    NarrowedKey,
    /// The key may change nothing, and this would.
    #[error("the API key may only read")]
    ReadOnlyKey,
    /// A field of a key that makes no sense.
    #[error("the `{field}` of an API key cannot be that: {why}")]
    InvalidKey {
        /// The field's name in the API.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The account has as many keys as an account may have.
    #[error("an account has at most {0} API keys")]
    TooManyKeys(usize),
    /// No such key, or it is somebody else's.
    #[error("the API key does not exist")]
    NoSuchKey,
    /// The key without a name was to be changed; it is replaced instead.
    #[error("the account's unnamed key cannot be changed, only replaced")]
    UnnamedKey,
    /// There is no key to show.
    #[error("the account has no API key")]
    NoKey,
    /// The key was sealed under a secret the server no longer has. It still works; it cannot be shown.
    #[error("the API key was sealed under an earlier server secret and cannot be shown; make a new one")]
    KeySealed,
    /// Signing up is switched off.
    #[error("signing up is switched off")]
    SignupClosed,
    /// The address is no address.
    #[error("the email address is not valid")]
    InvalidEmail,
    /// The address belongs to another account.
    #[error("the email address is taken")]
    EmailTaken,
    /// A password over 72 bytes, which other servers of this API could not check.
    #[error("the password is longer than 72 bytes")]
    PasswordTooLong,
    /// No password at all.
    #[error("the password is too weak")]
    PasswordTooWeak,
    /// A password that does not satisfy the configured rule; what people are told about that.
    #[error("the password does not satisfy the rule for passwords")]
    PasswordRefused(String),
    /// Unknown address or wrong password; deliberately one case.
    #[error("the email address or the password is wrong")]
    WrongCredentials,
    /// The old password given for a change is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// Too many sign-ins for one address; one more is looked at after this long.
    #[error("too many attempts")]
    Throttled(Duration),
    /// No such account.
    #[error("account `{0}` does not exist")]
    NoSuchAccount(UserId),
    /// No such group.
    #[error("the group does not exist")]
    NoSuchGroup,
    /// Who is to have what a deleted account had is no account, is being deleted, or is that account.
    #[error("account `{0}` cannot be given anything")]
    NoSuchHeir(UserId),
    /// The account is being deleted.
    #[error("account `{0}` is being deleted")]
    Leaving(UserId),
    /// The last admin cannot be deleted or demoted.
    #[error("the last admin cannot be removed")]
    LastAdmin,
    /// A setting whose value means nothing.
    #[error("`{value}` is no value for the setting `{name}`")]
    InvalidSetting {
        /// Which setting.
        name: &'static str,
        /// What it was to become.
        value: String,
    },
    /// Single-user mode is for a server with one account, an admin.
    #[error("single-user mode needs exactly one account, an admin, and there are {accounts} accounts")]
    SingleUser {
        /// How many accounts there are.
        accounts: usize,
    },
    /// The server's secret is empty, which would let anybody sign.
    #[error("the server secret is empty")]
    EmptySecret,
    /// Password hashing is overloaded.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cryptographic step failed that cannot fail with sound parameters.
    #[error("the {0} failed")]
    Crypto(&'static str),
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCredential
            | Self::InvalidToken
            | Self::UnknownCredential
            | Self::Revoked
            | Self::OtherPerson
            | Self::UnclearPerson => ErrorKind::Unauthenticated,
            Self::ApiKeysOff
            | Self::EndpointNotAllowed
            | Self::HumanRequired
            | Self::Forbidden
            | Self::KeysNotAllowed
            | Self::NarrowedKey
            | Self::ReadOnlyKey
            | Self::SignupClosed
            | Self::LastAdmin => ErrorKind::Forbidden,
            Self::NoKey | Self::NoSuchKey | Self::NoSuchAccount(_) | Self::NoSuchGroup => ErrorKind::NotFound,
            Self::InvalidEmail
            | Self::InvalidKey { .. }
            | Self::InvalidSetting { .. }
            | Self::NoSuchHeir(_)
            | Self::PasswordTooLong
            | Self::PasswordRefused(_)
            | Self::PasswordTooWeak
            | Self::WrongCredentials
            | Self::WrongPassword => ErrorKind::Invalid,
            Self::EmailTaken
            | Self::KeySealed
            | Self::Leaving(_)
            | Self::SingleUser { .. }
            | Self::TooManyKeys(_)
            | Self::UnnamedKey => ErrorKind::Conflict,
            Self::Throttled(_) => ErrorKind::RateLimited,
            Self::Lane(lane) => lane.kind(),
            Self::Store(store) => store.kind(),
            Self::Crypto(_) | Self::EmptySecret => ErrorKind::Internal,
        }
    }
}

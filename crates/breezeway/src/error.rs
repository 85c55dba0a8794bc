use breezeway_core::StoreError;

/// The result of building or running Breezeway.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why Breezeway could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data folder cannot be used.
    #[error("the data folder `{path}` cannot be used")]
    Folder {
        /// Where it is.
        path: String,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Store(#[from] StoreError),
    /// Accounts cannot be read.
    #[error("the accounts cannot be read")]
    Auth(#[from] breezeway_auth::Error),
    /// The blob store cannot be opened.
    #[error("the uploaded files cannot be read")]
    Library(#[from] breezeway_knowledge::Error),
    /// The search index cannot be opened.
    #[error("the search index cannot be opened")]
    Retrieval(#[from] breezeway_retrieval::Error),
    /// A setting of what stands in front of the API makes no sense.
    #[error("the HTTP settings cannot be used")]
    Middleware(#[from] breezeway_middleware::InvalidConfig),
    /// The reranker cannot be used as configured.
    #[error("the reranker cannot be used: {0}")]
    Reranker(String),
    /// The provider that people sign in through cannot be used as configured.
    #[error("the sign-in provider cannot be used")]
    SignOn(#[from] breezeway_oidc::InvalidConfig),
    /// A connection cannot be used as configured.
    #[error("the connections cannot be used")]
    Registry(#[from] breezeway_registry::Error),
    /// A tool server cannot be used as configured.
    #[error("the tool servers cannot be used")]
    Tools(#[from] breezeway_tools::Error),
}

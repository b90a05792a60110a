//! Names the ways to prove who we are, as connection strings spell them.

use crate::sdk::connect::InvalidTarget;
use std::path::PathBuf;

/// What Rust can serve, as messages list it.
const CHOICES: &str = "DefaultAzure, ManagedIdentity, WorkloadIdentity, Environment, AzureCli, None";
/// What other SDKs serve and Rust has no library for.
const ELSEWHERE: [&str; 5] =
    ["AzurePowerShell", "VisualStudio", "VisualStudioCode", "IntelliJ", "InteractiveBrowser"];

/// A way to prove who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Not at all; an emulator asks for nothing.
    None,
    /// The first that works of: environment secret, workload identity, managed identity, developer tools.
    DefaultAzure,
    /// The identity that Azure gave this machine; `ClientID` chooses a user-assigned one.
    ManagedIdentity,
    /// A token file that Kubernetes mounts; `ClientID`, `TenantId` and `TokenFilePath`, or their variables.
    WorkloadIdentity,
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    Environment,
    /// The user that is logged in with `az login`.
    AzureCli,
}

impl Method {
    pub(crate) fn parse(given: &str) -> Result<Self, InvalidTarget> {
        let all = [
            Self::None,
            Self::DefaultAzure,
            Self::ManagedIdentity,
            Self::WorkloadIdentity,
            Self::Environment,
            Self::AzureCli,
        ];
        if let Some(method) = all.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(given)) {
            return Ok(method);
        }
        let (given, choices) = (given.to_owned(), CHOICES);
        if ELSEWHERE.iter().any(|name| name.eq_ignore_ascii_case(&given)) {
            return Err(InvalidTarget::CannotServe { given, choices });
        }
        Err(InvalidTarget::Authentication { given, choices })
    }

    /// Its name in a connection string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::DefaultAzure => "DefaultAzure",
            Self::ManagedIdentity => "ManagedIdentity",
            Self::WorkloadIdentity => "WorkloadIdentity",
            Self::Environment => "Environment",
            Self::AzureCli => "AzureCli",
        }
    }
}

/// A method with what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// The method.
    pub method: Method,
    /// The application or user-assigned identity (`ClientID`).
    pub client_id: Option<String>,
    /// The directory (`TenantId`).
    pub tenant_id: Option<String>,
    /// The token file of a workload identity (`TokenFilePath`).
    pub token_file_path: Option<PathBuf>,
    /// Other directories a token may be asked for (`AdditionallyAllowedTenants`). Kept so that the string round
    /// trips; the scheduler never asks for another directory's token.
    pub additionally_allowed_tenants: Vec<String>,
}

impl Authentication {
    /// `method`, with the settings that the environment adds.
    pub const fn new(method: Method) -> Self {
        Self {
            method,
            client_id: None,
            tenant_id: None,
            token_file_path: None,
            additionally_allowed_tenants: Vec::new(),
        }
    }

    /// No identity.
    pub const fn none() -> Self {
        Self::new(Method::None)
    }

    /// The identity this machine has.
    pub const fn default_azure() -> Self {
        Self::new(Method::DefaultAzure)
    }
}

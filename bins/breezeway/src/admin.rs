//! `breezeway admin`: accounts, from the command line.

use std::{io::BufRead, sync::Arc};

use anyhow::{Context, Result, bail};
use breezeway::{
    Breezeway,
    parts::{
        auth::{Account, AccountChange, NewAccount},
        core::{Credential, Principal, Role, Secret},
    },
};

use crate::{
    cli::{AdminCommand, CreateUser, ResetPassword},
    config::Settings,
    folder, telemetry,
};

/// Run one command against the data folder.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(settings: Settings, command: AdminCommand) -> Result<()> {
    let _log = telemetry::install("warn", false)?;
    // A gateway that runs answers from memory and would not learn of the change.
    let _folder = folder::take(&settings.gateway.data_folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        let breezeway = Breezeway::builder(settings.gateway).build().await?;
        match command {
            AdminCommand::CreateUser(command) => create(&breezeway, command).await,
            AdminCommand::ResetPassword(command) => reset(&breezeway, command).await,
            AdminCommand::ApiKey(command) => api_key(&breezeway, &command.email).await,
        }
    })?;
    println!("{answer}");
    Ok(())
}

async fn create(breezeway: &Breezeway, command: CreateUser) -> Result<String> {
    let role: Role = command.role.parse()?;
    let name = command.name.unwrap_or_else(|| command.email.split('@').next().unwrap_or_default().to_owned());
    let password = password(command.password)?;
    let new = NewAccount { email: command.email, name, password, role, profile_image_url: None };
    let session = breezeway.auth().add_account(new).await?;
    Ok(format!("made the {} account `{}` ({})", role, session.account.email, session.account.id))
}

async fn reset(breezeway: &Breezeway, command: ResetPassword) -> Result<String> {
    let account = account(breezeway, &command.email)?;
    let change = AccountChange { password: Some(password(command.password)?), ..AccountChange::default() };
    breezeway.auth().update_account(&account.id, change).await?;
    Ok(format!("`{}` has a new password, and all its sessions have ended", account.email))
}

async fn api_key(breezeway: &Breezeway, email: &str) -> Result<String> {
    let account = account(breezeway, email)?;
    let principal = Principal {
        user: account.id.clone(),
        role: account.role,
        name: account.name.as_str().into(),
        email: account.email.as_str().into(),
        groups: [].into(),
        credential: Credential::Local,
        rules: None,
    };
    let key = breezeway.auth().create_api_key(&principal).await?;
    Ok(key.expose().to_owned())
}

fn account(breezeway: &Breezeway, email: &str) -> Result<Arc<Account>> {
    let wanted = email.trim().to_lowercase();
    let accounts = breezeway.auth().accounts();
    accounts
        .into_iter()
        .find(|account| account.email == wanted)
        .with_context(|| format!("there is no account `{email}`"))
}

/// The password given, or a line of standard input: arguments can be seen by other processes.
fn password(given: Option<String>) -> Result<Secret> {
    let password = match given {
        Some(password) => password,
        None => {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("no password on standard input")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    if password.is_empty() {
        bail!("the password is empty");
    }
    Ok(password.into())
}

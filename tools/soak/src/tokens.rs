//! Who uploads, and the tokens that this account has one after the other.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panup_emulator::{CLIENT_ID, CLIENT_SECRET, Emulator};

/// One account for a whole round, and its token of the moment.
#[derive(Debug)]
pub struct Account {
    form: Form,
    token: String,
    issued: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A JWT, with the same `id` in each.
    Jwt,
    /// A text that says nothing.
    Opaque,
    /// The account has a name, tokens are of both sorts.
    Named,
    /// Tokens are fetched.
    Client,
}

impl Account {
    /// By chance.
    pub fn new(chance: &mut fastrand::Rng) -> Account {
        let forms = [Form::Jwt, Form::Opaque, Form::Named, Form::Client];
        Account {
            form: forms[chance.usize(0..forms.len())],
            token: String::new(),
            issued: 0,
        }
    }

    /// The next token is good from now on.
    pub fn renew(&mut self, emulator: &Emulator, chance: &mut fastrand::Rng) {
        self.issued += 1;
        if self.form == Form::Client {
            return emulator.expire_tokens();
        }
        let is_jwt = match self.form {
            Form::Named => chance.bool(),
            form => form == Form::Jwt,
        };
        self.token = match is_jwt {
            true => jwt(self.issued, chance.u64(..)),
            false => format!("opaque-{}-{:016x}", self.issued, chance.u64(..)),
        };
        emulator.allow_token(&self.token);
    }

    /// The token of the moment is good again, whatever has become of it.
    pub fn mend(&self, emulator: &Emulator) {
        if self.form != Form::Client {
            emulator.allow_token(&self.token);
        }
    }

    /// Gives `command` what it needs to be let in.
    pub fn introduce(&self, command: &mut Command) {
        match self.form {
            Form::Client => {
                command.env("PANUP_CLIENT_ID", CLIENT_ID);
                command.env("PANUP_CLIENT_SECRET", CLIENT_SECRET);
            }
            Form::Named => {
                command
                    .arg("--account=soak")
                    .env("PANUP_TOKEN", &self.token);
            }
            Form::Jwt | Form::Opaque => {
                command.env("PANUP_TOKEN", &self.token);
            }
        }
    }
}

fn jwt(issued: u64, signature: u64) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = part(r#"{"alg":"HS256","typ":"JWT"}"#.to_owned());
    let claims = part(format!(
        r#"{{"id":1815309870,"exp":4102444800,"iat":{issued}}}"#
    ));
    format!("{head}.{claims}.{}", part(format!("{signature:032x}")))
}

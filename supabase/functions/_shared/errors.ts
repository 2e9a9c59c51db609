// The errors of the Edge Functions, by what can be done about them. No message holds a secret.
//
//   FunctionError
//   ├── Misconfigured     an operator sets something; every request fails until then
//   ├── SealBroken        a stored value does not open: restore it, or connect again
//   ├── DatabaseAway      no answer, or none that says anything: ask again later
//   ├── DatabaseRefused   the database said no: the caller decides by status and code
//   ├── FanvueAway        Fanvue gave no usable answer: ask again later
//   │   └── FanvueBusy    Fanvue's rate limit is spent for `seconds`
//   └── FanvueRefused     Fanvue said no: `word` is its OAuth error code, or the HTTP status

export class FunctionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

export class Misconfigured extends FunctionError {}

export class SealBroken extends FunctionError {}

export class DatabaseAway extends FunctionError {}

export class DatabaseRefused extends FunctionError {
  constructor(readonly status: number, readonly code: string) {
    super(`the database answered ${status} ${code}`);
  }
}

export class FanvueAway extends FunctionError {}

export class FanvueBusy extends FanvueAway {
  constructor(readonly endpoint: string, readonly seconds: number) {
    super(`Fanvue answered 429 at ${endpoint}`);
  }
}

export class FanvueRefused extends FunctionError {
  constructor(readonly status: number, readonly word: string) {
    super(`Fanvue answered ${status} ${word}`);
  }
}

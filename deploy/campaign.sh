#!/usr/bin/env bash
# One campaign, unattended: match, reveal, exchange. For cron, a systemd timer or a Kubernetes job.
#
#   deploy/campaign.sh AGREEMENT
#
# It may be started twice, killed, and started again: a run with a result of the last $SINCE is carried on instead of
# starting another one, so that nothing is shared or charged twice. It ends with the exit code of the command that
# stopped it (docs/cli.md#exit-codes): 0 done, 8 and 9 try again later, everything else tell a person.
#
#   MUTUALS_HOME      the peer's home
#   MUTUALS_OPERATOR  who acts: a service operator
#   SINCE             how long a run counts as this campaign's            (20h)
#   PATIENCE          how long to keep calling a partner that is down     (30m)
#   PASSPHRASE_FILE   the operator's passphrase, where the agreement has no standing mandate; its owner's alone to read
#
# Results, one JSON object for each step, go to standard output; what a person should read to standard error.
set -euo pipefail

agreement=${1:?usage: campaign.sh AGREEMENT}
since=${SINCE:-20h}
patience=${PATIENCE:-30m}

# A command's JSON object, printed and kept in $answer; its exit code is this script's where it fails.
step() {
  local code=0
  answer=$(mutuals "$@" --wait-for-partner "$patience" --json) || code=$?
  printf '%s\n' "$answer"
  if ((code)); then
    printf 'campaign: mutuals %s ended with %d: %s\n' "$1" "$code" "$(field message)" >&2
    exit "$code"
  fi
}

# The same for a command that an operator authorises, where no standing mandate does.
authorised() {
  if [[ -n ${PASSPHRASE_FILE:-} ]]; then
    step "$@" --yes --passphrase-fd 3 3<"$PASSPHRASE_FILE"
  else
    step "$@"
  fi
}

# A value of $answer: mutuals prints one key a line.
field() {
  sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\"]*[^\",]\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" <<<"$answer" | head -n 1
}

step match "$agreement" --unless-since "$since"
run=$(field run)
role=$(field role)
if [[ $(field state) == done ]]; then
  exit 0 # it was finished before
fi
authorised reveal "$run"
if [[ $role == responder && $(field state) == counted ]]; then
  exit 0 # the partner started this run and carries it on; our server answers under the mandate
fi
authorised exchange "$run"

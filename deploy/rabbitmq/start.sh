#!/bin/bash
# Starts a node of RabbitMQ with the secrets of its files: its image takes them from the environment alone, and the
# tools in the container (rabbitmqctl, rabbitmq-diagnostics) read the cookie from the home of the user `rabbitmq`.
set -euo pipefail
cookie=/var/lib/rabbitmq/.erlang.cookie
rm -f "$cookie"
tr -d '\n' </run/secrets/rabbitmq_cookie >"$cookie"
chown rabbitmq:rabbitmq "$cookie"
chmod 400 "$cookie"
RABBITMQ_DEFAULT_PASS="$(cat /run/secrets/rabbitmq_password)"
export RABBITMQ_DEFAULT_PASS
exec docker-entrypoint.sh rabbitmq-server

#!/bin/sh
# A job whose server is away: the kind of trouble that may pass, so it is tried again, and given up in the end.
echo "sending the newsletter"
sleep 0.2
echo "ERROR connect to ${MAIL_SERVER:-mail.example}:25: Connection refused" >&2
exit 1

#include "adapters/mysql/errors.h"

#include <fmt/format.h>

#include "base/redaction.h"
#include "base/text.h"

namespace millrace::adapters::mysql {

// Source: MySQL 8.4 Error Message Reference; MariaDB Error Code Reference; <errmsg.h> of the client library.
base::ErrorKind kind_of(unsigned code) {
  using enum base::ErrorKind;
  switch (code) {
    case 1022:  // duplicate key
    case 1062:  // duplicate entry
    case 1451:  // a row elsewhere refers to this one
    case 1586:  // duplicate entry, with the key's name
      return kConflict;
    case 1048:  // column cannot be NULL
    case 1054:  // unknown column
    case 1064:  // syntax
    case 1153:  // packet larger than max_allowed_packet
    case 1216:  // no such parent row
    case 1264:  // out of range
    case 1265:  // data truncated
    case 1292:  // wrong value of a type
    case 1364:  // field without default
    case 1366:  // wrong value for a column
    case 1406:  // data too long
    case 1452:  // no such parent row, with the constraint
    case 1690:  // number out of range in an expression
    case 3140:  // invalid JSON (MySQL)
    case 3819:  // CHECK violated (MySQL)
    case 4025:  // CHECK violated (MariaDB)
      return kInvalid;
    case 1044:  // no access to the database
    case 1045:  // wrong user or password
    case 1130:  // host not allowed
    case 1142:  // command denied on a table
    case 1143:  // command denied on a column
    case 1227:  // privilege missing
    case 1251:  // authentication protocol not supported
    case 1665:  // the binary log's format is STATEMENT, which InnoDB refuses at READ COMMITTED
    case 1698:  // wrong user (socket authentication)
    case 2049:  // old authentication refused
    case 2059:  // authentication plugin missing
    case 3159:  // require_secure_transport
      return kFatal;
    default:
      // Away, overloaded, deadlock, lock or statement time-out, shutting down, read-only, disk full, tables
      // not there yet: each can be better on the next attempt, and what is not listed is better tried again
      // than lost.
      return kUnavailable;
  }
}

bool is_connection_lost(unsigned code) {
  switch (code) {
    case 1053:  // server shutdown in progress
    case 1152:  // aborted connection
    case 1153:  // packet too large: the server hangs up
    case 1158:
    case 1159:
    case 1160:
    case 1161:  // network errors seen by the server
    case 1927:  // connection was killed (MariaDB)
    case 3169:  // session was killed (MySQL)
    case 4031:  // disconnected for inactivity (MySQL)
      return true;
    default:
      return (code >= 2000 && code < 3000) || (code >= 5000 && code < 5100);
  }
}

base::Error make_error(std::string_view doing, unsigned code, std::string_view text) {
  std::string cure;
  if (code == 1146 || code == 1049) cure = "the tables are missing: run millrace init-db";
  if (code == 1045 || code == 1698)
    cure =
        "check user and password of the MySQL URL, and add ?tls=on if the server accepts encrypted "
        "connections only";
  if (code == 1044 || code == 1142 || code == 1143 || code == 1227)
    cure = "the user of the MySQL URL lacks a right: grant it what the message in the log names";
  if (code == 1665) cure = "set binlog_format = ROW (or MIXED) on the server";
  if (code == 3159)
    cure = "the server takes encrypted connections only: add ?tls=on or ?tls=verify to the MySQL URL";
  return {kind_of(code),
          fmt::format("{}: {}{}{}", doing, base::printable(base::without_personal_data(text), 400),
                      cure.empty() ? "" : "; ", cure),
          static_cast<int>(code), cure};
}

}  // namespace millrace::adapters::mysql

# Script mode: turns the numbered files of FOLDER into OUTPUT (C++ with their text and checksums) and SCRIPT (one file for
# the command-line client that does what init-db does to an empty server).
#   cmake -DFOLDER=schema/mysql -DOUTPUT=migrations_embedded.cpp -DSCRIPT=init-mysql.sql -P EmbedMigrations.cmake
file(GLOB files "${FOLDER}/[0-9][0-9][0-9]_*.sql")
list(SORT files)

set(cpp "// Made from schema/mysql by cmake/EmbedMigrations.cmake.\n#include \"adapters/mysql/migrations.h\"\n\n")
string(APPEND cpp "namespace millrace::adapters::mysql {\nnamespace {\nconstexpr Migration kMigrations[] = {\n")
set(sql "-- Made from schema/mysql/*.sql by the build target update_init_script: change those files, not this one.\n")
string(APPEND sql "-- On an empty server: mysql < scripts/init-mysql.sql   (does the same as: millrace init-db)\n")
string(APPEND sql "CREATE DATABASE IF NOT EXISTS ecommerce CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\nUSE ecommerce;\n")
string(APPEND sql "SET NAMES utf8mb4;\n")

foreach(path IN LISTS files)
  get_filename_component(name "${path}" NAME_WE)
  string(SUBSTRING "${name}" 0 3 digits)
  math(EXPR version "1${digits} - 1000")
  file(READ "${path}" text)
  file(SHA256 "${path}" checksum)
  string(APPEND cpp "    {${version}, \"${name}\", \"${checksum}\", R\"sql(${text})sql\"},\n")
  string(APPEND sql "\n-- ${name}.sql\n${text}")
  if(version GREATER 0)
    string(APPEND sql "INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES\n"
                      "  (${version}, '${name}', '${checksum}');\n")
  endif()
endforeach()

string(APPEND cpp "};\n}  // namespace\n\nstd::span<const Migration> embedded_migrations() { return kMigrations; }\n\n}  // namespace millrace::adapters::mysql\n")
file(WRITE "${OUTPUT}" "${cpp}")
file(WRITE "${SCRIPT}" "${sql}")

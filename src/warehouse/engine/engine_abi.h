// The part of libchdb's C interface that is called here. The library ships no header, so this one declares
// what its exported symbols take. Source: the exported symbols of libchdb 26.7.3 and trials against it
// (docs/specs/warehouse.md).
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

enum chdb_state { CHDBSuccess = 0, CHDBError = 1 };

struct chdb_connection_ {
  void* internal_data;
};
using chdb_connection = chdb_connection_*;

struct chdb_result {
  void* internal_data;
};

struct chdb_insert_stream_ {
  void* internal_data;
};
using chdb_insert_stream = chdb_insert_stream_*;

struct chdb_query_info {
  std::uint32_t struct_size;
  std::uint32_t statement_count;
  std::uint32_t flags;
  std::uint32_t query_class;
};

const char* chdb_version(void);
void chdb_set_signal_handlers_enabled(int enabled);

chdb_connection* chdb_connect(int argc, char** argv);
void chdb_close_conn(chdb_connection* connection);

chdb_state chdb_classify_query_n(chdb_connection connection, const char* query, std::size_t query_length,
                                 const char* database, std::size_t database_length, chdb_query_info* info);

chdb_result* chdb_query_with_params_n(chdb_connection connection, const char* query, std::size_t query_length,
                                      const char* format, std::size_t format_length, const char* const* names,
                                      const std::size_t* name_lengths, const char* const* values,
                                      const std::size_t* value_lengths, std::size_t count);

chdb_result* chdb_stream_query_with_params_n(chdb_connection connection, const char* query,
                                             std::size_t query_length, const char* format,
                                             std::size_t format_length, const char* const* names,
                                             const std::size_t* name_lengths, const char* const* values,
                                             const std::size_t* value_lengths, std::size_t count);
chdb_result* chdb_stream_fetch_result(chdb_connection connection, chdb_result* stream);
void chdb_stream_cancel_query(chdb_connection connection, chdb_result* stream);
void chdb_destroy_query_result(chdb_result* result);

chdb_insert_stream chdb_stream_insert_with_params_n(chdb_connection connection, const char* query,
                                                    std::size_t query_length, const char* format,
                                                    std::size_t format_length, const char* const* names,
                                                    const std::size_t* name_lengths,
                                                    const char* const* values,
                                                    const std::size_t* value_lengths, std::size_t count);
chdb_state chdb_stream_append(chdb_insert_stream stream, const char* data, std::size_t length);
chdb_result* chdb_stream_done(chdb_insert_stream stream);
void chdb_stream_cancel_insert(chdb_insert_stream stream);
const char* chdb_stream_insert_error(chdb_insert_stream stream);
void chdb_destroy_insert_stream(chdb_insert_stream stream);

char* chdb_result_buffer(chdb_result* result);
std::size_t chdb_result_length(chdb_result* result);
double chdb_result_elapsed(chdb_result* result);
std::uint64_t chdb_result_rows_read(chdb_result* result);
std::uint64_t chdb_result_bytes_read(chdb_result* result);
std::uint64_t chdb_result_storage_rows_read(chdb_result* result);
std::uint64_t chdb_result_storage_bytes_read(chdb_result* result);
std::uint64_t chdb_result_rows_written(chdb_result* result);
std::uint64_t chdb_result_bytes_written(chdb_result* result);
const char* chdb_result_error(chdb_result* result);
}

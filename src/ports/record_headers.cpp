#include "ports/record_headers.h"

#include <algorithm>

namespace millrace::ports {
namespace {

constexpr std::size_t kMarkBytesMax = 64;  // the header about the cut itself

}  // namespace

NewRecord dead_letter_of(const Record& record, const TopicPartition& source, const std::string& topic_id,
                         const std::string& reason, base::UtcTime now, std::size_t bytes_max) {
  NewRecord letter{record.key, record.value, record.headers, now};
  letter.headers.push_back({std::string(kHeaderReason), reason});
  letter.headers.push_back({std::string(kHeaderSourceTopic), source.topic});
  letter.headers.push_back({std::string(kHeaderSourcePartition), std::to_string(source.partition)});
  letter.headers.push_back({std::string(kHeaderSourceOffset), std::to_string(record.offset)});
  letter.headers.push_back({std::string(kHeaderSourceTopicId), topic_id});
  if (const std::size_t bytes = bytes_of(letter) + kMarkBytesMax; bytes > bytes_max) {
    letter.headers.push_back({std::string(kHeaderValueBytes), std::to_string(record.value.size())});
    letter.value.resize(letter.value.size() - std::min(letter.value.size(), bytes - bytes_max));
  }
  return letter;
}

}  // namespace millrace::ports

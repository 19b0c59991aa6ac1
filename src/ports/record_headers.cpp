#include "ports/record_headers.h"

namespace millrace::ports {

NewRecord dead_letter_of(const Record& record, const TopicPartition& source, const std::string& incarnation,
                         const std::string& reason, base::UtcTime now) {
  NewRecord letter{record.key, record.value, record.headers, now};
  letter.headers.push_back({std::string(kHeaderReason), reason});
  letter.headers.push_back({std::string(kHeaderSourceTopic), source.topic});
  letter.headers.push_back({std::string(kHeaderSourcePartition), std::to_string(source.partition)});
  letter.headers.push_back({std::string(kHeaderSourceOffset), std::to_string(record.offset)});
  letter.headers.push_back({std::string(kHeaderSourceIncarnation), incarnation});
  return letter;
}

}  // namespace millrace::ports

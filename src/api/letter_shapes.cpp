#include "api/letter_shapes.h"

#include "base/json.h"
#include "base/text.h"

namespace millrace::api {
namespace {

using base::JsonWriter;

/// Bytes from a record: what is not UTF-8 comes as '?'.
void text(JsonWriter& json, std::string_view key, std::string_view bytes) {
  json.key(key).string(base::is_utf8(bytes) ? std::string(bytes) : base::printable(bytes, bytes.size()));
}

void write_handled_members(JsonWriter& json, const ports::HandledLetter& handled) {
  json.key("state").string(handled.action == ports::LetterAction::kReplayed ? "replayed" : "dropped");
  text(json, "by", handled.by);
  json.key("at").string(base::to_iso8601(handled.at));
  if (!handled.note.empty()) text(json, "note", handled.note);
  if (handled.event_id) json.key("eventId").number(*handled.event_id);
}

void write_members(JsonWriter& json, const letters::Letter& letter) {
  json.key("id").string(letters::to_string(letters::id_of(letter.place)));
  json.key("topic").string(letter.place.topic);
  json.key("partition").number(std::int64_t{letter.place.partition});
  json.key("offset").number(letter.place.offset);
  text(json, "key", letter.record.key);
  text(json, "reason", letter.reason);
  json.key("missing").string(letter.half_base ? "base row" : "all");
  json.key("writtenAt").string(base::to_iso8601(letter.record.time));
  if (letter.handled) {
    write_handled_members(json, *letter.handled);
  } else {
    json.key("state").string("open");
  }
}

}  // namespace

std::string letters_json(const letters::LetterList& list) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("letters").begin_array();
  for (const letters::Letter& letter : list.letters) {
    json.begin_object();
    write_members(json, letter);
    json.end_object();
  }
  json.end_array();
  json.key("more").boolean(!list.next.empty());
  if (!list.next.empty()) json.key("next").string(list.next);
  json.key("open").number(list.open);
  json.end_object();
  return body;
}

std::string letter_json(const letters::Letter& letter) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  write_members(json, letter);
  json.key("headers").begin_array();
  for (const ports::Header& header : letter.record.headers) {
    json.begin_object();
    text(json, "name", header.name);
    text(json, "value", header.value);
    json.end_object();
  }
  json.end_array();
  text(json, "value", letter.record.value);
  json.key("valueIsText").boolean(base::is_utf8(letter.record.value));
  json.end_object();
  return body;
}

std::string handled_json(const ports::HandledLetter& handled) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("id").string(letters::to_string(letters::id_of(handled.place)));
  write_handled_members(json, handled);
  json.end_object();
  return body;
}

}  // namespace millrace::api

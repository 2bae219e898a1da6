#include "text/sentencepiece_model.h"

#include <cstring>
#include <optional>

#include "base/error.h"

namespace difftune {

namespace {

// One field of a message in protocol buffers' wire format: protobuf.dev/programming-guides/encoding.
struct Field {
  uint32_t number = 0;
  uint64_t integer = 0;    // wire types 0, 1 and 5
  std::string_view bytes;  // wire type 2

  float as_float() const {
    const auto bits = static_cast<uint32_t>(integer);
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
};

class Message {
 public:
  Message(std::string_view bytes, std::string_view name) : rest_(bytes), name_(name) {}

  // The next field, or nothing at the end.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const uint64_t tag = varint();
    Field field{static_cast<uint32_t>(tag >> 3)};
    switch (tag & 7) {
      case 0:
        field.integer = varint();
        break;
      case 1:
        field.integer = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.integer = fixed(4);
        break;
      default:
        refuse();
    }
    return field;
  }

 private:
  [[noreturn]] void refuse() const {
    fail("{}: not a SentencePiece model; the file may be cut off or another one, copy it again", name_);
  }

  std::string_view take(uint64_t size) {
    if (size > rest_.size()) refuse();
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  uint64_t fixed(size_t size) {
    uint64_t value = 0;
    const std::string_view bytes = take(size);
    for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    return value;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse();
  }

  std::string_view rest_, name_;
};

SentencePieceModel::Piece parse_piece(std::string_view bytes, std::string_view name) {
  SentencePieceModel::Piece piece;
  Message message(bytes, name);
  while (const auto field = message.next()) {
    if (field->number == 1) piece.text = field->bytes;
    if (field->number == 2) piece.score = field->as_float();
    if (field->number == 3) piece.type = static_cast<SentencePieceModel::Piece::Type>(field->integer);
  }
  return piece;
}

void parse_trainer(std::string_view bytes, std::string_view name, SentencePieceModel& model) {
  Message message(bytes, name);
  while (const auto field = message.next()) {
    if (field->number == 3) model.algorithm = static_cast<SentencePieceModel::Algorithm>(field->integer);
    if (field->number == 40) model.unknown_id = static_cast<int32_t>(field->integer);
  }
}

void parse_normalizer(std::string_view bytes, std::string_view name, SentencePieceModel& model) {
  Message message(bytes, name);
  while (const auto field = message.next()) {
    if (field->number == 2) model.charsmap = field->bytes;
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view name) {
  SentencePieceModel model;
  Message message(bytes, name);
  while (const auto field = message.next()) {
    if (field->number == 1) model.pieces.push_back(parse_piece(field->bytes, name));
    if (field->number == 2) parse_trainer(field->bytes, name, model);
    if (field->number == 3) parse_normalizer(field->bytes, name, model);
  }
  const auto num_pieces = static_cast<int64_t>(model.pieces.size());
  if (num_pieces == 0) fail("{}: not a SentencePiece model: it holds no pieces", name);
  if (model.unknown_id < 0 || model.unknown_id >= num_pieces) {
    fail("{}: the id of unknown pieces is {}, expected 0 to {}", name, model.unknown_id, num_pieces - 1);
  }
  return model;
}

}  // namespace difftune

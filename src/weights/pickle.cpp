#include "weights/pickle.h"

#include <bit>
#include <unordered_map>

#include "base/error.h"
#include "weights/byte_reader.h"

namespace difftune {
namespace {

using Kind = PickleValue::Kind;

// A checkpoint has some tens of thousands of values; this bounds the memory that a hostile file can ask for.
constexpr size_t kMaxValues = 10'000'000;
constexpr size_t kMaxNameBytes = 1000;

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersid = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kObj = 'o',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

class Machine {
 public:
  Machine(ByteReader& reader, std::deque<PickleValue>& values) : reader_(reader), values_(values) {}

  const PickleValue* run() {
    if (reader_.read<uint8_t>() != kProto || reader_.read<uint8_t>() > 5) {
      fail("{}: is no pickle of protocol 2 to 5", reader_.path().string());
    }
    while (true) {
      const auto opcode = reader_.read<uint8_t>();
      if (opcode == kStop) return pop();
      if (!step_literal(opcode) && !step_container(opcode) && !step_memo(opcode) && !step_object(opcode)) {
        fail("{}: has the pickle opcode {:#04x} at byte {}, which no torch.save writes", reader_.path().string(),
             opcode, reader_.position() - 1);
      }
    }
  }

 private:
  [[noreturn]] void damaged() {
    fail("{}: its pickle is damaged near byte {}", reader_.path().string(), reader_.position());
  }

  PickleValue* make(Kind kind) {
    if (values_.size() == kMaxValues) fail("{}: its pickle has too many values", reader_.path().string());
    PickleValue& value = values_.emplace_back();
    value.kind = kind;
    return &value;
  }
  PickleValue* push(Kind kind) {
    stack_.push_back(make(kind));
    return stack_.back();
  }
  void push_integer(Kind kind, int64_t integer) { push(kind)->integer = integer; }
  void push_text(Kind kind, std::string_view text) { push(kind)->text = text; }

  // The stack above the last mark is what the next opcodes may take from.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() {
    if (stack_.size() <= floor()) damaged();
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) damaged();
    std::vector<const PickleValue*> values(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }

  bool step_literal(uint8_t opcode) {
    switch (opcode) {
      case kNone:
        push(Kind::none);
        return true;
      case kNewTrue:
        push_integer(Kind::boolean, 1);
        return true;
      case kNewFalse:
        push_integer(Kind::boolean, 0);
        return true;
      case kBinInt:
        push_integer(Kind::integer, reader_.read<int32_t>());
        return true;
      case kBinInt1:
        push_integer(Kind::integer, reader_.read<uint8_t>());
        return true;
      case kBinInt2:
        push_integer(Kind::integer, reader_.read<uint16_t>());
        return true;
      case kLong1:
        push_long(reader_.take(reader_.read<uint8_t>()));
        return true;
      case kLong4:
        push_long(reader_.take(reader_.read<uint32_t>()));
        return true;
      case kBinFloat:
        push(Kind::real)->real = std::bit_cast<double>(__builtin_bswap64(reader_.read<uint64_t>()));
        return true;
      case kBinUnicode:
      case kBinString:
        push_text(Kind::text, reader_.take(reader_.read<uint32_t>()));
        return true;
      case kShortBinUnicode:
      case kShortBinString:
        push_text(Kind::text, reader_.take(reader_.read<uint8_t>()));
        return true;
      case kBinUnicode8:
        push_text(Kind::text, reader_.take(reader_.read<uint64_t>()));
        return true;
      case kBinBytes:
        push_text(Kind::bytes, reader_.take(reader_.read<uint32_t>()));
        return true;
      case kShortBinBytes:
        push_text(Kind::bytes, reader_.take(reader_.read<uint8_t>()));
        return true;
      case kBinBytes8:
      case kByteArray8:
        push_text(Kind::bytes, reader_.take(reader_.read<uint64_t>()));
        return true;
      default:
        return false;
    }
  }

  // A two's complement number of any length, little-endian.
  void push_long(std::string_view bytes) {
    if (bytes.size() > sizeof(int64_t)) return push_text(Kind::bytes, bytes);
    int64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    push_integer(Kind::integer, value);
  }

  bool step_container(uint8_t opcode) {
    switch (opcode) {
      case kMark:
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        if (stack_.size() > floor()) {
          pop();
        } else {
          pop_to_mark();
        }
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        stack_.push_back(top());
        return true;
      case kEmptyList:
      case kEmptySet:
        push(Kind::list);
        return true;
      case kEmptyTuple:
        push(Kind::tuple);
        return true;
      case kEmptyDict:
        push(Kind::dict);
        return true;
      case kList:
      case kFrozenSet:
        push_items(Kind::list, pop_to_mark());
        return true;
      case kTuple:
        push_items(Kind::tuple, pop_to_mark());
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_items(Kind::tuple, pop_some(opcode - kTuple1 + 1));
        return true;
      case kDict: {
        const auto items = pop_to_mark();
        push(Kind::dict);
        set_items(items);
        return true;
      }
      case kAppend:
        append(pop_some(1));
        return true;
      case kAppends:
      case kAddItems:
        append(pop_to_mark());
        return true;
      case kSetItem:
        set_items(pop_some(2));
        return true;
      case kSetItems:
        set_items(pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  std::vector<const PickleValue*> pop_some(size_t count) {
    std::vector<const PickleValue*> values(count);
    for (size_t i = count; i-- > 0;) values[i] = pop();
    return values;
  }
  void push_items(Kind kind, std::vector<const PickleValue*> items) { push(kind)->items = std::move(items); }
  void append(const std::vector<const PickleValue*>& items) {
    PickleValue* target = top();
    // What a placeholder is given beside its arguments is of no interest.
    if (target->is(Kind::list)) target->items.insert(target->items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<const PickleValue*>& items) {
    PickleValue* target = top();
    if (items.size() % 2 != 0) damaged();
    for (size_t i = 0; i < items.size(); i += 2) target->entries.emplace_back(items[i], items[i + 1]);
  }

  bool step_memo(uint8_t opcode) {
    switch (opcode) {
      case kBinPut:
        memo_[reader_.read<uint8_t>()] = top();
        return true;
      case kLongBinPut:
        memo_[reader_.read<uint32_t>()] = top();
        return true;
      case kMemoize:
        memo_[memo_.size()] = top();
        return true;
      case kBinGet:
        stack_.push_back(from_memo(reader_.read<uint8_t>()));
        return true;
      case kLongBinGet:
        stack_.push_back(from_memo(reader_.read<uint32_t>()));
        return true;
      case kFrame:
        reader_.skip(sizeof(uint64_t));
        return true;
      default:
        return false;
    }
  }

  PickleValue* from_memo(size_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) damaged();
    return found->second;
  }

  bool step_object(uint8_t opcode) {
    switch (opcode) {
      case kGlobal: {
        const std::string_view module = reader_.line(), name = reader_.line();
        push_global(module, name);
        return true;
      }
      case kStackGlobal: {
        const PickleValue *name = pop(), *module = pop();
        push_global(module->text, name->text);
        return true;
      }
      case kReduce:
      case kNewObj: {
        const PickleValue *arguments = pop(), *callable = pop();
        push_items(Kind::call, {callable, arguments});
        return true;
      }
      case kNewObjEx: {
        pop();  // keyword arguments
        const PickleValue *arguments = pop(), *callable = pop();
        push_items(Kind::call, {callable, arguments});
        return true;
      }
      case kObj: {
        auto items = pop_to_mark();
        if (items.empty()) damaged();
        PickleValue* arguments = make(Kind::tuple);
        arguments->items.assign(items.begin() + 1, items.end());
        push_items(Kind::call, {items[0], arguments});
        return true;
      }
      case kBuild: {
        pop();  // the attributes that were to be set
        top();
        return true;
      }
      case kBinPersid:
        push_items(Kind::persistent, pop_some(1));
        return true;
      default:
        return false;
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    if (module.size() > kMaxNameBytes || name.size() > kMaxNameBytes) damaged();
    push(Kind::global)->text = fmt::format("{}.{}", module, name);
  }

  ByteReader& reader_;
  std::deque<PickleValue>& values_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<size_t, PickleValue*> memo_;
};

}  // namespace

std::string_view PickleValue::callee() const {
  return is(Kind::call) && items[0]->is(Kind::global) ? std::string_view(items[0]->text) : "";
}

const std::vector<const PickleValue*>& PickleValue::arguments() const {
  DT_CHECK(is(Kind::call));
  return items[1]->items;
}

const PickleValue* PickleValue::find(std::string_view key) const {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->first->is_text(key)) return entry->second;
  }
  return nullptr;
}

Pickle::Pickle(std::span<const std::byte> bytes, const fs::path& path, size_t offset) {
  ByteReader reader(bytes, path, offset);
  root_ = Machine(reader, values_).run();
  end_ = reader.position();
}

}  // namespace difftune

-- What XINFO says of one thing, by its names.
local function fields_of(row)
  local fields = {}
  for at = 1, #row, 2 do
    fields[row[at]] = row[at + 1]
  end
  return fields
end


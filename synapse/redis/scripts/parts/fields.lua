-- Return the fields of one row of XINFO by name.
local function fields_of(row)
  local fields = {}
  for at = 1, #row, 2 do
    fields[row[at]] = row[at + 1]
  end
  return fields
end


// What there is: each list with its columns, what adds to it and what can be done to a row. A new list is one more entry.
//
// Columns and fields are [name, kind]; a field's third part "?" says that it may stay empty. Rows are the server's own.

const BASE = "/base_api/v1/admin";
const STORE = "/store_api/v1/admin";
export const RIGHTS = ["ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"];
const path = encodeURIComponent;
const PLACE = [["name", "text"], ["description", "long"], ["logo_url", "text"]];
const removal = (url) => ({ name: "remove", danger: true, method: "DELETE", url });

function places(kind) {
  return {
    scope: [["destination_id", "text", "MOSCOW"]],
    list: (scope) => `${BASE}/destination/${path(scope.destination_id)}/${kind}s`,
    columns: [["logo_url", "logo"], ["name", "strong"], ["description", "text"]],
    add: { word: kind === "hotel" ? "addHotel" : "addAttraction", fields: PLACE, url: (scope) => `${BASE}/destination/${path(scope.destination_id)}/${kind}` },
    acts: [removal((row) => `${BASE}/destination_info/${kind}/${row.id}`)],
  };
}

export const LISTS = {
  users: {
    list: () => `${BASE}/users`,
    columns: [["name", "strong"], ["id", "id"]],
    add: { word: "addUser", fields: [["name", "text"], ["face", "picture", "?"]], url: () => `${BASE}/user` },
    acts: [
      { name: "setFace", fields: [["face", "picture"]], method: "PATCH", url: (row) => `${BASE}/user/${row.id}/face` },
      { name: "dropFace", method: "DELETE", url: (row) => `${BASE}/user/face?user_id=${row.id}` },
      removal((row) => `${BASE}/users/${row.id}`),
    ],
  },
  engineers: {
    list: () => `${BASE}/engineers`,
    columns: [["login", "strong"], ["id", "id"]],
    add: { word: "addEngineer", fields: [["login", "text"], ["password", "password"]], url: () => `${BASE}/engineer` },
    acts: [
      { name: "privilegesOf", fields: [["privileges", "rights"]], method: "PUT", url: () => `${BASE}/engineer_privileges`, also: (row) => ({ id: row.id }) },
      { name: "cardOf", fields: [["key", "text", "?"]], method: "PUT", url: (row) => `${BASE}/engineer/${row.id}/auth_card`, also: () => ({ key: null }) },
      removal((row) => `${BASE}/engineers/${row.id}`),
    ],
  },
  robots: {
    list: () => `${BASE}/robots`,
    note: "robotsNote",
    columns: [["robot_model_name", "strong"], ["robot_model_id", "text"], ["id", "id"]],
    acts: [removal((row) => `${BASE}/robots/${row.id}`)],
  },
  tickets: {
    list: () => `${BASE}/tickets`,
    columns: [["train_number", "number"], ["wagon_number", "number"], ["place_number", "number"], ["date", "time"], ["station_id", "text"], ["destination", "text"], ["user_id", "id"], ["id", "id"]],
    add: {
      word: "addTicket",
      fields: [["user_id", "text"], ["train_number", "number"], ["wagon_number", "number"], ["place_number", "number"], ["station_id", "text"], ["destination", "text"], ["date", "time"], ["start_date", "time"]],
      url: () => `${BASE}/ticket`,
    },
    acts: [removal((row) => `${BASE}/ticket/${row.id}`)],
  },
  stores: {
    list: () => `${STORE}/stores`,
    columns: [["name", "strong"], ["description", "text"], ["store_type", "word"], ["id", "id"]],
    add: {
      word: "addStore",
      fields: [["name", "text"], ["description", "long", "?"], ["logo_url", "text", "?"], ["store_type", ["SHOP", "RESTAURANT"]]],
      url: () => `${STORE}/store`,
      whole: true,
    },
    opens: true,
    acts: [
      { name: "board", fields: [["train_number", "number"], ["train_date", "time"]], method: "POST", url: (row) => `${BASE}/store/${row.id}/train` },
      removal((row) => `${STORE}/store/${row.id}`),
    ],
  },
  trains: {
    scope: [["train_number", "number", ""], ["train_date", "time", ""]],
    list: (scope) => `${BASE}/train/stores?train_number=${path(scope.train_number)}&train_date=${path(scope.train_date)}`,
    rowOf: async (id, read) => {
      const row = await read(`${STORE}/store/${id}`).catch(() => null);
      return { id, name: row?.name ?? "", store_type: row?.store_type ?? "" };
    },
    columns: [["name", "strong"], ["store_type", "word"], ["id", "id"]],
    add: {
      word: "addTrain",
      fields: [["store_id", "text"]],
      url: (_scope, said) => `${BASE}/store/${path(said.store_id)}/train`,
      also: (scope) => ({ ...scope }),
    },
    opens: true,
    acts: [{ name: "unbind", danger: true, method: "DELETE", url: (row) => `${BASE}/store/${row.id}/train/unbind`, also: (_row, scope) => ({ ...scope }) }],
  },
  hotels: places("hotel"),
  attractions: places("attraction"),
  purchases: {
    list: () => "/v1/railway/purchases?limit=50",
    download: "/v1/railway/purchases.csv",
    columns: [["date", "time"], ["total_penny", "money"], ["lines", "lines"], ["channel", "word"], ["store_id", "id"], ["user_id", "id"]],
    acts: [],
  },
};

export const ITEM_COLUMNS = [["logo_url", "item-logo"], ["name", "strong"], ["category", "text"], ["price_penny", "money"], ["balance", "stock"], ["id", "id"]];
export const TASK_COLUMNS = [["date", "time"], ["is_ready", "flag"], ["lines", "lines"], ["additional_data", "data"], ["user_id", "id"]];
export const storeUrl = (id) => `${STORE}/store/${path(id)}`;
export const tasksUrl = (id) => `${STORE}/store/${path(id)}/tasks?also_ready_tasks=true&size=50`;

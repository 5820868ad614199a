"""Who may do what: one table of every route of the system (read by `api.route_rules`). Pure.

A route's door says who is let in without a role, as it has always been: devices and consoles from this machine and
trusted networks, ADMIN_TOKEN, users of sales audio, sessions of robots and stores. Its roles say which people of a
provider of identities are let in as well (an `admin` wherever any role is); where none is configured they do nothing.
"""

from __future__ import annotations

from typing import Final

from api.doors import ADMIN, Door, Rule


def _rules(door: Door, roles: str, routes: str) -> list[Rule]:
    """One rule a line: `METHOD /path`."""
    lines = [line.split() for line in routes.strip().splitlines()]
    having = frozenset((*roles.split(), ADMIN)) if roles else frozenset[str]()
    return [Rule(method, path, door, having) for method, path in lines]


# /api/v1/X is /v1/X here, and /base_api/v1/X is /base_api/X: they are the same routes.
TABLE: Final[tuple[Rule, ...]] = (
    *_rules(
        Door.OPEN,
        "",
        """
        GET /
        GET /health
        GET /api/health
        GET /v1/health
        GET /openapi.json
        GET /docs
        GET /docs/oauth2-redirect
        GET /redoc
        GET /static-offline-docs/{rest:path}
        GET /static-offline-docs/redoc.standalone.js
        GET /ui
        GET /ui/
        GET /ui/sales
        GET /ui/railway
        GET /ui/security
        GET /ui/me
        GET /ui/sign-in
        GET /ui/signed-in
        POST /ui/sign-out
        GET /assets/{name}
        GET /favicon.ico
        GET /static/{rest:path}
        GET /registry/
        GET /registry/schemas/types
        GET /registry/schemas/ids/{schema_id}
        GET /registry/schemas/ids/{schema_id}/schema
        GET /registry/schemas/ids/{schema_id}/versions
        GET /registry/subjects
        GET /registry/subjects/{subject}/versions
        GET /registry/subjects/{subject}/versions/{version}
        GET /registry/subjects/{subject}/versions/{version}/schema
        POST /registry/subjects/{subject}
        POST /registry/subjects/{subject}/versions
        GET /registry/config
        GET /registry/config/{subject}
        GET /registry/mode
        POST /v1/auth/login
        OPTIONS /v1/uploads
        """,
    ),
    # What devices send without a token.
    *_rules(
        Door.NETWORK,
        "",
        """
        POST /v1/logs/bulk
        POST /api/emotions/batch
        POST /api/stream/frame
        """,
    ),
    # Emotions: read models and the page over them.
    *_rules(
        Door.NETWORK,
        "analyst",
        """
        GET /v1/sessions
        GET /v1/persons
        GET /v1/logs
        GET /v1/moments
        GET /v1/heatmap
        GET /v1/as-of
        GET /v1/live
        GET /api/dashboard/summary
        GET /api/dashboard/devices
        """,
    ),
    *_rules(Door.NETWORK, "security", "GET /stream/{device_id}"),
    *_rules(
        Door.TOKEN,
        "operator",
        """
        POST /admin/truncate
        POST /api/admin/truncate
        """,
    ),
    # Sales audio.
    *_rules(
        Door.USERS,
        "analyst",
        """
        GET /v1/sales/analysis/compare
        GET /v1/sales/costs
        GET /v1/sales/overview
        GET /v1/sales/dialogues
        GET /v1/sales/dialogues/{dialogue_id}
        GET /v1/sales/dialogues/{dialogue_id}/audio
        GET /v1/sales/chunks/{chunk_id}/audio
        POST /v1/sales/dialogues/{dialogue_id}/transcript
        GET /v1/analytics/daily
        GET /v1/analytics/dialogues
        GET /v1/analytics/dialogues/{dialogue_id}
        GET /v1/analytics/points
        GET /v1/reviews
        POST /v1/reviews/{dialogue_id}
        PATCH /v1/reviews/{review_id}
        """,
    ),
    *_rules(
        Door.USERS,
        "analyst operator",
        """
        POST /v1/sales/analysis/rerun
        POST /v1/analysis/rerun/{dialogue_id}
        GET /v1/exports/reviews
        GET /v1/sales/devices/{device_id}/history
        """,
    ),
    *_rules(
        Door.USERS,
        "operator",
        """
        POST /v1/admin/devices
        GET /v1/admin/devices
        PATCH /v1/admin/devices/{device_id}
        PATCH /v1/admin/points/{point_id}
        PATCH /v1/admin/registers/{register_id}
        """,
    ),
    *_rules(
        Door.ADMINISTRATORS,
        "admin",
        """
        GET /v1/users
        POST /v1/users
        PATCH /v1/users/{user_id}
        DELETE /v1/users/{user_id}
        """,
    ),
    *_rules(Door.USER, "", "GET /v1/users/me"),
    *_rules(
        Door.DEVICE,
        "",
        """
        POST /v1/chunks
        POST /v1/silences
        POST /v1/recorders/drops
        POST /v1/uploads
        HEAD /v1/uploads/{upload_id}
        PATCH /v1/uploads/{upload_id}
        DELETE /v1/uploads/{upload_id}
        """,
    ),
    *_rules(
        Door.INTERNAL,
        "",
        """
        GET /v1/internal/chunks/{chunk_id}/file
        GET /v1/internal/chunks/{chunk_id}/audio
        GET /v1/internal/asr
        GET /v1/internal/asr/{rest:path}
        """,
    ),
    # The railway's servers; their documentation.
    *_rules(
        Door.OPEN,
        "",
        """
        GET /base_api/openapi.json
        GET /base_api/docs
        GET /base_api/docs/oauth2-redirect
        GET /base_api/redoc
        GET /base_api/static-offline-docs/{rest:path}
        GET /store_api/openapi.json
        GET /store_api/docs
        GET /store_api/docs/oauth2-redirect
        GET /store_api/redoc
        GET /store_api/static-offline-docs/{rest:path}
        GET /face_api/openapi.json
        GET /face_api/docs
        GET /face_api/docs/oauth2-redirect
        GET /face_api/redoc
        GET /face_api/static-offline-docs/{rest:path}
        POST /base_api/auth/robot/new_login
        POST /base_api/auth/robot/login
        POST /base_api/auth/robot/login_code
        POST /base_api/auth/store/new_login
        POST /base_api/auth/store/login
        POST /base_api/auth/store/login_code
        """,
    ),
    # Watching: what cameras send and how they are set up; what was noticed of people wants a name.
    *_rules(
        Door.NETWORK_AND_ROBOTS,
        "security",
        """
        POST /v1/deviance
        POST /v1/security/sightings
        """,
    ),
    *_rules(
        Door.NETWORK,
        "security",
        """
        GET /v1/security/cameras
        GET /v1/security/cameras/{camera_id}
        PUT /v1/security/cameras/{camera_id}
        DELETE /v1/security/cameras/{camera_id}
        """,
    ),
    *_rules(
        Door.TOKEN,
        "security",
        """
        POST /v1/security/cameras/{camera_id}/mute
        GET /v1/security/watch-list
        GET /v1/security/watch-list/{user_id}
        PUT /v1/security/watch-list/{user_id}
        DELETE /v1/security/watch-list/{user_id}
        GET /v1/security/alerts
        GET /v1/security/alerts/{alert_id}
        POST /v1/security/alerts/{alert_id}/acknowledge
        POST /v1/security/alerts/{alert_id}/escalate
        POST /v1/security/alerts/{alert_id}/resolve
        GET /v1/security/frames/{sha256}
        GET /v1/security/live
        """,
    ),
    # Passengers, with their faces.
    *_rules(
        Door.NETWORK,
        "security",
        """
        POST /base_api/admin/user
        PATCH /base_api/admin/user/{user_id}/face
        DELETE /base_api/admin/user/face
        DELETE /base_api/admin/users/{user_id}
        """,
    ),
    *_rules(
        Door.TOKEN,
        "security",
        """
        POST /face_api/face
        POST /face_api/search
        DELETE /face_api/face/{user_id}
        GET /face_api/faces
        GET /face_api/check/{user_id}
        """,
    ),
    *_rules(Door.NETWORK, "operator security", "GET /base_api/admin/users"),
    # Trains, tickets, places, stores.
    *_rules(
        Door.NETWORK,
        "operator",
        """
        GET /base_api/admin/robots
        DELETE /base_api/admin/robots/{robot_id}
        POST /base_api/admin/ticket
        GET /base_api/admin/tickets
        DELETE /base_api/admin/ticket/{ticket_id}
        POST /base_api/admin/store/{store_id}/train
        DELETE /base_api/admin/store/{store_id}/train/unbind
        POST /base_api/admin/destination/{destination_id}/hotel
        POST /base_api/admin/destination/{destination_id}/attraction
        DELETE /base_api/admin/destination_info/hotel/{hotel_id}
        DELETE /base_api/admin/destination_info/attraction/{attraction_id}
        POST /store_api/admin/store
        DELETE /store_api/admin/store/{store_id}
        """,
    ),
    *_rules(
        Door.NETWORK,
        "analyst operator",
        """
        GET /base_api/admin/train/stores
        GET /base_api/admin/destination/{destination_id}/hotels
        GET /base_api/admin/destination/{destination_id}/attractions
        GET /store_api/admin/stores
        GET /store_api/admin/store/{store_id}
        GET /store_api/admin/store/{store_id}/tasks
        GET /store_api/admin/ids/stores
        GET /v1/railway/purchases
        GET /v1/railway/purchases.csv
        """,
    ),
    # Scenarios of video analytics.
    *_rules(
        Door.NETWORK,
        "operator",
        """
        POST /scenario/
        POST /scenario/{scenario_id}/
        PUT /v1/scenarios/{scenario_id}/predictions
        """,
    ),
    *_rules(
        Door.NETWORK,
        "analyst operator",
        """
        GET /scenario/{scenario_id}/
        GET /prediction/{scenario_id}/
        GET /v1/scenarios
        GET /v1/scenarios/{scenario_id}
        GET /v1/scenarios/{scenario_id}/history
        GET /v1/scenarios/{scenario_id}/predictions
        """,
    ),
    # Who may sign in where; and what Keycloak itself asks.
    *_rules(
        Door.NETWORK,
        "admin",
        """
        POST /base_api/admin/engineer
        GET /base_api/admin/engineers
        DELETE /base_api/admin/engineers/{engineer_id}
        PUT /base_api/admin/engineer_privileges
        PUT /base_api/admin/engineer/{engineer_id}/auth_card
        POST /base_api/admin/keycloak_user
        DELETE /base_api/admin/keycloak_user
        POST /base_api/user-provider/users
        PATCH /base_api/user-provider/users/{user_id}
        DELETE /base_api/user-provider/users/{user_id}
        GET /base_api/user-provider/users/id/{user_id}
        GET /base_api/user-provider/users/username/{username:path}
        GET /base_api/user-provider/users/email/{email:path}
        GET /base_api/user-provider/users/validate
        GET /base_api/user-provider/users/all
        """,
    ),
    *_rules(
        Door.PASSENGER,
        "",
        """
        GET /base_api/frontend/tickets
        POST /base_api/frontend/tickets
        GET /base_api/frontend/get_ticket
        POST /base_api/frontend/faces
        GET /base_api/frontend/faces
        """,
    ),
    *_rules(
        Door.ROBOT,
        "",
        """
        POST /base_api/robot/identification
        POST /base_api/robot/ticket_validation
        POST /base_api/robot/ticket_check
        POST /base_api/robot/user/current_ticket
        GET /base_api/robot/user/{user_id}
        POST /base_api/robot/determine_destination
        GET /base_api/robot/destination/{destination_id}/hotels
        GET /base_api/robot/destination/{destination_id}/attractions
        POST /base_api/robot/engineer/admin_access
        GET /base_api/robot/train/stores
        GET /store_api/robot/store/{store_id}
        POST /store_api/robot/store/{store_id}/make_purchase
        GET /store_api/robot/store/{store_id}/user/{user_id}/recommendations
        POST /store_api/robot/stores/list
        """,
    ),
    *_rules(
        Door.STORE,
        "",
        """
        GET /store_api/store/items
        GET /store_api/store/item/{item_id}
        POST /store_api/store/item
        PUT /store_api/store/item
        DELETE /store_api/store/item/{item_id}
        POST /store_api/store/purchase
        GET /store_api/store/tasks
        PUT /store_api/store/task/{task_id}/ready
        PUT /store_api/store/task/{task_id}
        """,
    ),
)
"""Every route. A request is a rule's when its method and path fit; what is not here is nobody's by role."""
